"""A stream as a collector gets it: shuffled, with retries and with much that is no beacon, and the truth about it."""

import copy
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from pharos import synthetic_fleet

Beacon = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """The lines as sent, and what must become of them."""

    lines: list[bytes]
    accepted: list[Beacon]
    duplicates: int
    invalid: int


def stream(seed: int, count: int = 20_000, installs: int = 700, days: int = 30, *, end: date) -> Stream:
    """Exactly `count` lines in random order: a twentieth invalid, a tenth of the valid beacons sent twice."""
    rng = random.Random(f"stream {seed}")
    invalid = count // 20
    duplicates = (count - invalid) // 11
    accepted = _valid(rng, seed, count - invalid - duplicates, installs, days, end)
    lines = [encoded(beacon) for beacon in accepted]
    lines += rng.sample(lines, duplicates)
    kinds = list(BROKEN.values())
    lines += [kinds[number % len(kinds)](complete(rng, end)) for number in range(invalid)]
    rng.shuffle(lines)
    return Stream(lines, accepted, duplicates, invalid)


def encoded(beacon: Beacon) -> bytes:
    """The line that a client sends for a beacon."""
    return json.dumps(beacon, separators=(",", ":")).encode()


def _valid(rng: random.Random, seed: int, wanted: int, installs: int, days: int, end: date) -> list[Beacon]:
    """`wanted` beacons of one fleet, a random part of those it sends, in time order."""
    rate = wanted / (installs * days)
    sent: list[Beacon] = []
    while len(sent) < wanted:
        rate *= 1.5  # not every install lives on every day
        sent = list(synthetic_fleet.beacons(seed, installs, days, end, rate))
    return [_packaged(sent[index]) for index in sorted(rng.sample(range(len(sent)), wanted))]


def _packaged(beacon: Beacon) -> Beacon:
    """The beacon, with versions as distributions write them on a third of the installs."""
    platform = beacon.get("platform")
    if platform and int(beacon["install_id"][:4], 16) % 3 == 0:
        beacon["platform"] = {**platform, "php": f"{platform['php']}-1ubuntu4.3"}
        if platform.get("database") == "mariadb-10.6":
            beacon["platform"]["database"] = "5.5.5-10.6.12-MariaDB-log"
    return beacon


def complete(rng: random.Random, end: date) -> Beacon:
    """A valid beacon, with every field there is, of an install that is seen nowhere else."""
    beacon = copy.deepcopy(COMPLETE)
    beacon["beacon_id"], beacon["install_id"] = (str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(2))
    beacon["sent_at"] = f"{end}T10:00:00Z"
    return beacon


COMPLETE: Beacon = {
    "schema": 1,
    "beacon_id": "",
    "install_id": "",
    "sent_at": "",
    "reason": "heartbeat",
    "consent": {"level": "full", "policy": "2021-08"},
    "module": {"name": "invoice_pro", "version": "3.2.1"},
    "license": {"status": "licensed", "source": "whmcs-addon-modules", "key_hash": "5e" * 32},
    "server": {
        "public_ip": "203.0.113.9",
        "os": {"family": "linux", "name": "debian", "version": "12", "arch": "x86_64"},
        "virtualization": {"type": "kvm", "detection": "systemd-detect-virt"},
    },
    "platform": {
        "whmcs": "9.0.1",
        "php": "8.2.12",
        "database": "mariadb-10.11",
        "web_server": "apache-2.4",
        "sapi": "fpm-fcgi",
    },
    "features": {"invoice.pdf_export": 12, "bulk_email": 1},
}

Break = Callable[[Beacon], bytes]
ABSENT = object()


def _with(path: str, value: Any) -> Break:
    """The beacon with `value` at `path`, or without that field."""
    *parents, name = path.split("/")

    def broken(beacon: Beacon) -> bytes:
        inner = beacon
        for parent in parents:
            inner = inner[parent]
        if value is ABSENT:
            del inner[name]
        else:
            inner[name] = value
        return encoded(beacon)

    return broken


def _text(change: Callable[[bytes], bytes]) -> Break:
    """The beacon's line, damaged."""
    return lambda beacon: change(encoded(beacon))


# Only what is invalid beyond doubt: not `12.0` as a count, an upper-case hash or the second :60, where readers differ.
BROKEN: dict[str, Break] = {
    **{
        f"no {path}": _with(path, ABSENT)
        for path in (
            "schema", "beacon_id", "install_id", "sent_at", "module", "module/name", "module/version",
            "license", "license/status", "license/source",
        )
    },
    "unknown field": _with("email", "admin@example.com"),
    "unknown field of the module": _with("module/path", "/var/www"),
    "unknown field of the server": _with("server/hostname", "shop.example.com"),
    "unknown field of the os": _with("server/os/kernel", "6.1.0"),
    "unknown field of the platform": _with("platform/perl", "5.36"),
    "schema as text": _with("schema", "1"),
    "beacon_id as number": _with("beacon_id", 7),
    "sent_at as number": _with("sent_at", 1_790_000_000),
    "module as text": _with("module", "invoice_pro"),
    "version as number": _with("module/version", 3.2),
    "server null": _with("server", None),
    "features as list": _with("features", ["bulk_email"]),
    "count as text": _with("features/bulk_email", "1"),
    "count as boolean": _with("features/bulk_email", True),
    "count with a fraction": _with("features/bulk_email", 1.5),
    "count null": _with("features/bulk_email", None),
    "beacon_id no UUID": _with("beacon_id", "0193577e"),
    "install_id no UUID": _with("install_id", "5f0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1g"),
    "sent_at without zone": _with("sent_at", "2026-11-22T10:00:00"),
    "sent_at in words": _with("sent_at", "yesterday"),
    "sent_at on no day": _with("sent_at", "2026-02-30T10:00:00Z"),
    "module with capitals": _with("module/name", "InvoicePro"),
    "module name too long": _with("module/name", "m" * 65),
    "version with a newline": _with("module/version", "3.2.1\n"),
    "version too long": _with("module/version", "1" * 33),
    "version empty": _with("module/version", ""),
    "source with a space": _with("license/source", "whmcs addon"),
    "hash too short": _with("license/key_hash", "5e" * 31),
    "private address": _with("server/public_ip", "192.168.1.20"),
    "no address": _with("server/public_ip", "203.0.113.256"),
    "os with capitals": _with("server/os/name", "Debian"),
    "php with a slash": _with("platform/php", "8.2/12"),
    "feature with a space": _with("features/bulk email", 1),
    "feature with an e-mail address": _with("features/bulk@example.com", 1),
    "schema 2": _with("schema", 2),
    "unheard-of reason": _with("reason", "uninstall"),
    "unheard-of status": _with("license/status", "pirated"),
    "unheard-of consent": _with("consent/level", "some"),
    "unheard-of os family": _with("server/os/family", "Linux"),
    "unheard-of virtualization": _with("server/virtualization/type", "hyper-v"),
    "count below 0": _with("features/bulk_email", -1),
    "count above the ceiling": _with("features/bulk_email", 4_294_967_296),
    "platform without consent": _with("consent/level", "license"),
    "201 features": _with("features", {f"feature_{number}": 1 for number in range(201)}),
    "a number": _text(lambda line: b"42"),
    "a text": _text(lambda line: b'"' + line.hex().encode() + b'"'),
    "cut off": _text(lambda line: line[: len(line) // 2]),
    "not closed": _text(lambda line: line[:-1]),
    "two in one": _text(lambda line: line + line),
    "NaN": _text(lambda line: line.replace(b'"bulk_email":1', b'"bulk_email":NaN')),
    "single quotes": _text(lambda line: line.replace(b'"', b"'")),
    "no UTF-8": _text(lambda line: line.replace(b"debian", b"deb\xffan")),
    "too deep": _text(lambda line: line.replace(b'"bulk_email":1', b'"bulk_email":' + b"[" * 5000 + b"]" * 5000)),
}  # fmt: skip
