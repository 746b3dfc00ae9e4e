"""A seeded synthetic fleet that looks like a few years of real installs, without any real install."""

import datetime as dt
import hashlib
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Beacon = dict[str, Any]
T = TypeVar("T")

DAY_SECONDS = 86_400
COUNT_MAX = 4_294_967_295  # the contract's ceiling of a feature count
RHYTHM = (1.1, 1.1, 1.1, 1.1, 1.05, 0.8, 0.75)  # Monday to Sunday, mean 1

# Weighted values. Versions are ordered from old to new: an upgrade moves one step.
Ladder = Mapping[str, float]
MODULES: Ladder = {"invoice_pro": 45, "bulk_mailer": 22, "domain_tools": 18, "ticket_ai": 10, "billing_sync": 5}
VERSIONS: Mapping[str, Ladder] = {
    "invoice_pro": {"2.9.4": 6, "3.0.0": 4, "3.1.2": 20, "3.2.0": 25, "3.2.1": 45, "4.0.0": 0},
    "bulk_mailer": {"1.8.0": 15, "1.9.3": 35, "2.0.0": 50, "2.0.1": 0},
    "domain_tools": {"0.9.7": 5, "1.0.0": 25, "1.1.0": 70, "1.2.0-rc.1": 0, "1.2.0": 0},
    "ticket_ai": {"0.4.0": 30, "0.5.0": 70, "0.6.0": 0, "0.7.0": 0},
    "billing_sync": {"5.1": 40, "5.2": 60, "5.3+hotfix1": 0},
}
# feature -> (share of the module's installs that use it, mean uses per day of these installs)
FEATURES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "invoice_pro": {
        "invoice.pdf_export": (0.93, 14.0),
        "invoice.credit_note": (0.41, 1.2),
        "invoice.e_invoice_xml": (0.18, 6.0),
        "invoice.bulk_download": (0.09, 0.4),
        "invoice.tiff_export": (0.006, 0.3),  # almost unused
        "admin.widget": (0.55, 3.0),
    },
    "bulk_mailer": {"bulk_email": (0.88, 160.0), "mailer.ab_test": (0.07, 0.5), "mailer.segments": (0.34, 2.0)},
    "domain_tools": {"domain.whois": (0.80, 22.0), "domain.bulk_renew": (0.25, 0.7), "admin.widget": (0.35, 2.0)},
    "ticket_ai": {"ticket.suggest_reply": (0.97, 35.0), "ticket.auto_tag": (0.6, 18), "ticket.translate": (0.12, 4.0)},
    "billing_sync": {"sync.run": (0.99, 24.0), "sync.dry_run": (0.15, 0.3), "sync.conflict_resolve": (0.20, 0.6)},
}
# (family, name) -> (share, versions)
SYSTEMS: Mapping[tuple[str, str], tuple[float, Ladder]] = {
    ("linux", "almalinux"): (33, {"8.10": 30, "9.5": 50, "9.6": 20, "10.0": 0}),
    ("linux", "ubuntu"): (22, {"20.04": 14, "22.04": 45, "24.04": 41, "26.04": 0}),
    ("linux", "debian"): (17, {"11": 20, "12": 60, "13": 20}),
    ("linux", "cloudlinux"): (14, {"8.10": 60, "9.5": 40}),
    ("linux", "rocky"): (7, {"8.10": 30, "9.5": 70}),
    ("linux", "centos"): (4.5, {"7": 1}),
    ("windows", "windows-server"): (1.7, {"2019": 40, "2022": 60}),
    ("bsd", "freebsd"): (0.8, {"13.4": 40, "14.2": 60}),
}
VIRTUALIZATION: Ladder = {
    "kvm": 50, "vmware": 17, "none": 12, "microsoft": 5, "lxc": 4, "xen": 4, "amazon": 4, "openvz": 2, "docker": 1.5,
    "unknown": 0.5,
}  # fmt: skip
WHMCS: Ladder = {"8.6.1": 3, "8.8.0": 5, "8.10.1": 12, "8.11.2": 18, "8.12.1": 20, "8.13.1": 32, "9.0.0": 9, "9.0.1": 0}
PHP: Ladder = {"7.4.33": 8, "8.1.27": 14, "8.1.33": 22, "8.2.12": 13, "8.2.29": 25, "8.3.14": 10, "8.3.25": 8}
DATABASE: Ladder = {"mysql-5.7": 6, "mysql-8.0": 24, "mariadb-10.6": 30, "mariadb-10.11": 33, "mariadb-11.4": 7}
WEB_SERVER: Ladder = {"apache-2.4": 62, "litespeed-6.3": 24, "nginx-1.26": 12, "openlitespeed-1.8": 2}
SAPI: Ladder = {"fpm-fcgi": 70, "cgi-fcgi": 18, "apache2handler": 12}
STATUS: Ladder = {"licensed": 92, "unlicensed": 2.5, "trial": 2, "expired": 1.6, "suspended": 1, "invalid": 0.9}
SOURCE: Ladder = {"whmcs-addon-modules": 76, "license-server": 16, "local-key": 7, "reseller-api": 1}
LAPSES: Ladder = {"expired": 5, "suspended": 3, "unlicensed": 2, "invalid": 1.5}
ZONES: Mapping[int, float] = {0: 94, 120: 3, -300: 2, 330: 1}  # minutes east of UTC, of an install's times
# Only documentation ranges: even a demo must never show a real host as a suspect.
NETWORKS: Mapping[str, float] = {"192.0.2.": 25, "198.51.100.": 25, "203.0.113.": 25, "2001:db8:": 25}


@dataclass(frozen=True)
class Release:
    """A version that comes out during the days of the fleet, `before` days before the last one.

    `chance` is that of an older install to upgrade to it on a day, `silent` that of its installs to fall silent.
    """

    before: int
    chance: float
    silent: float = 0.0


@dataclass(frozen=True)
class World:
    """The vendor and the software of a fleet.

    `releases` has the releases of a module by version; without one, installs go up its versions one by one. `fading`
    has the share of a feature's users that stop using it during the days, `season` a factor of all uses of a day.
    """

    modules: Ladder = field(default_factory=lambda: MODULES)
    versions: Mapping[str, Ladder] = field(default_factory=lambda: VERSIONS)
    features: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=lambda: FEATURES)
    php: Ladder = field(default_factory=lambda: PHP)
    whmcs: Ladder = field(default_factory=lambda: WHMCS)
    database: Ladder = field(default_factory=lambda: DATABASE)
    web_server: Ladder = field(default_factory=lambda: WEB_SERVER)
    releases: Mapping[str, Mapping[str, Release]] = field(default_factory=dict)
    fading: Mapping[str, float] = field(default_factory=dict)
    season: Callable[[dt.date], float] = lambda day: 1.0

    def next_version(self, module: str, version: str, left: int) -> tuple[str, float]:
        """The version to which an install upgrades, and its chance to do so on the day `left` days before the last."""
        ladder = self.versions[module]
        releases = self.releases.get(module)
        if releases is None:
            return _newer(ladder, version), 0.02
        names = list(ladder)
        newer = [
            name for name in names[names.index(version) + 1 :] if name in releases and releases[name].before >= left
        ]
        best = max(newer, key=lambda name: releases[name].chance, default=version)
        return best, releases[best].chance if newer else 0.0

    def silent(self, module: str, version: str) -> float:
        """The chance of an install with this version to fall silent on a day."""
        release = self.releases.get(module, {}).get(version)
        return release.silent if release else 0.0


def beacons(
    seed: int, installs: int, days: int, end: dt.date, per_install_day: float = 1.0, world: World | None = None
) -> Iterator[dict[str, Any]]:
    """Yield valid beacons of `installs` installs over the `days` days up to and including `end`, in time order.

    `per_install_day` (above 0) is the mean number of beacons that a living install sends a day, all its modules
    together. The seed alone decides everything: no clock, no hash order.
    """
    rng = random.Random(f"fleet {seed}")  # noqa: S311 - synthetic data, nothing secret
    world = world or World()
    keys: dict[str, list[str]] = {name: [] for name in world.modules}
    fleet = [_Install(rng, days, keys, world) for _ in range(installs)]
    for number in range(days):
        day = end - dt.timedelta(days=days - 1 - number)
        sent = [
            (second, beacon)
            for install in fleet
            if install.joined <= number and not install.gone
            for second, beacon in install.live(rng, day, per_install_day, days - 1 - number)
        ]
        sent.sort(key=lambda one: one[0])
        yield from (beacon for _, beacon in sent)


class _Module:
    """One module on one install: its version, its license, and its feature uses."""

    def __init__(self, rng: random.Random, name: str, keys: list[str], size: float, world: World, days: int) -> None:
        self.name, self._world = name, world
        self.version = _pick(rng, world.versions[name])
        self.status = _pick(rng, STATUS)
        self.source = _pick(rng, SOURCE)
        self.own_key = hashlib.sha256(f"{name}-{rng.getrandbits(64):016x}".encode()).hexdigest()
        self.key: str | None = self.own_key if self.status != "trial" else None
        if self.status == "licensed":
            keys.append(self.own_key)
        elif self.status in ("unlicensed", "invalid"):
            # A case for the licensing team: another install's key, if one exists.
            self.key = rng.choice([None, self.own_key, *([rng.choice(keys)] * 2 if keys else [])])
        self.uses = {
            feature: daily * size if rng.random() < share else 0.0
            for feature, (share, daily) in world.features[name].items()
        }
        # The day, counted from the last one, from which the install uses a fading feature no more.
        self._stops = {
            feature: rng.randrange(days)
            for feature in self.uses
            if feature in world.fading and rng.random() < world.fading[feature]
        }
        self.news: str | None = None  # a reason other than the heartbeat, not yet reported

    def age(self, rng: random.Random, left: int) -> None:
        """Advance by one day. The two rates below keep the share of licensed modules near 92%."""
        newer, chance = self._world.next_version(self.name, self.version, left)
        if rng.random() < chance and newer != self.version:
            self.version, self.news = newer, self.news or "upgrade"
        if rng.random() < (0.0026 if self.status == "licensed" else 0.03):
            self.status = _pick(rng, LAPSES) if self.status == "licensed" else "licensed"
            self.key = self.own_key
            self.source = _pick(rng, SOURCE)

    def counts(self, rng: random.Random, share: float, left: int) -> dict[str, int]:
        """Return the uses of each feature since the last beacon. `share` is the covered part of a day."""
        return {
            feature: min(int(rng.expovariate(1 / (daily * share))), COUNT_MAX)
            if daily and left > self._stops.get(feature, -1)
            else 0
            for feature, daily in self.uses.items()
        }


class _Install:
    """One WHMCS: its server, its software, its modules, and the days on which it lives."""

    def __init__(self, rng: random.Random, days: int, keys: Mapping[str, list[str]], world: World) -> None:
        self._world = world
        self.id = _uuid(rng)
        # Most installs exist before the first day. The others join later.
        self.joined = 0 if rng.random() < 0.7 else rng.randrange(days)
        self.gone = False
        self.zone = dt.timezone(dt.timedelta(minutes=_pick(rng, ZONES)))
        self.terse = rng.random() < 0.3  # an old client: omits values with a default, and zero counts
        self.license_only = rng.random() < 0.04
        self.os = _pick(rng, {system: share for system, (share, _) in SYSTEMS.items()})
        self.os_version = _pick(rng, SYSTEMS[self.os][1])
        self.arch = "aarch64" if self.os[0] == "linux" and rng.random() < 0.07 else "x86_64"
        self.virtualization = _pick(rng, VIRTUALIZATION)
        self.address = _address(rng) if rng.random() < 0.85 else None
        self.php = _pick(rng, world.php)
        self.whmcs = _pick(rng, world.whmcs)
        self.database = _pick(rng, world.database) if rng.random() < 0.97 else None
        self.web_server = _pick(rng, world.web_server)
        self.sapi = "litespeed" if "litespeed" in self.web_server else _pick(rng, SAPI)
        size = rng.lognormvariate(0, 1)  # few large shops, many small ones
        names: list[str] = []
        for _ in range(rng.choices((1, 2, 3), (60, 28, 12))[0]):
            names.append(_pick(rng, {name: share for name, share in world.modules.items() if name not in names}))
        self.modules = [_Module(rng, name, keys[name], size, world, days) for name in names]
        if self.joined:
            self._tell("activate")

    def _tell(self, reason: str) -> None:
        for module in self.modules:
            module.news = reason

    def live(self, rng: random.Random, day: dt.date, rate: float, left: int) -> Iterator[tuple[int, Beacon]]:
        """Return the beacons of one day, each with its second of that day."""
        self._age(rng, left)
        news = [module for module in self.modules if module.news]
        expected = rate * RHYTHM[day.weekday()]
        beats = 0 if self.gone else int(expected) + (rng.random() < expected % 1) - len(news)
        senders = news + [rng.choice(self.modules) for _ in range(beats)]
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        # Sampled without replacement: an install never has two beacons in one second, so "the latest" is unique.
        for second, module in zip(sorted(rng.sample(range(DAY_SECONDS), len(senders))), senders, strict=True):
            share = RHYTHM[day.weekday()] * len(self.modules) / rate * self._world.season(day)
            counts = module.counts(rng, share, left)
            yield second, self._beacon(rng, midnight + dt.timedelta(seconds=second), module, counts)

    def _age(self, rng: random.Random, left: int) -> None:
        for module in self.modules:
            module.age(rng, left)
            silent = self._world.silent(module.name, module.version)
            self.gone = self.gone or (silent > 0 and rng.random() < silent)
        if rng.random() < 0.006:
            self.php = _newer(self._world.php, self.php)
        if rng.random() < 0.01:
            self.whmcs = _newer(self._world.whmcs, self.whmcs)
        if rng.random() < 0.001:
            self.os_version = _newer(SYSTEMS[self.os][1], self.os_version)
        if self.address and rng.random() < 0.001:
            self.address = _address(rng)
        if rng.random() < 0.002:
            self.gone = True
            # One in five disappears without a "deactivate", like a server that is switched off.
            self._tell("deactivate" if rng.random() < 0.8 else "")

    def _beacon(self, rng: random.Random, at: dt.datetime, module: _Module, counts: dict[str, int]) -> Beacon:
        reason, module.news = module.news or "heartbeat", None
        beacon: Beacon = {
            "schema": 1,
            "beacon_id": _uuid(rng),
            "install_id": self.id,
            "sent_at": at.astimezone(self.zone).isoformat().replace("+00:00", "Z"),
        }
        if not (self.terse and reason == "heartbeat"):
            beacon["reason"] = reason
        if self.license_only or not self.terse:
            beacon["consent"] = {"level": "license" if self.license_only else "full", "policy": "2021-08"}
        beacon["module"] = {"name": module.name, "version": module.version}
        beacon["license"] = {"status": module.status, "source": module.source}
        if module.key:
            beacon["license"]["key_hash"] = module.key
        server = self._server(rng)
        # A probe may fail on any day, so each section is sometimes missing.
        if server and rng.random() > 0.02:
            beacon["server"] = server
        if not self.license_only and rng.random() > 0.02:
            beacon["platform"] = {"whmcs": self.whmcs, "php": self.php, "web_server": self.web_server}
            beacon["platform"] |= {"sapi": self.sapi} | ({"database": self.database} if self.database else {})
        if not self.license_only and rng.random() > 0.03:
            beacon["features"] = {name: count for name, count in counts.items() if count or not self.terse}
        return beacon

    def _server(self, rng: random.Random) -> Beacon:
        server: Beacon = {"public_ip": self.address} if self.address else {}
        if not self.license_only:
            family, name = self.os
            server["os"] = {"family": family, "name": name, "version": self.os_version, "arch": self.arch}
            if rng.random() > 0.03:
                found_by = "systemd-detect-virt" if family == "linux" else "dmi"
                server["virtualization"] = {"type": self.virtualization, "detection": found_by}
        return server


def _pick(rng: random.Random, weighted: Mapping[T, float]) -> T:
    return rng.choices(list(weighted), list(weighted.values()))[0]


def _newer(ladder: Ladder, version: str) -> str:
    versions = list(ladder)
    return versions[min(versions.index(version) + 1, len(versions) - 1)]


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _address(rng: random.Random) -> str:
    network = _pick(rng, NETWORKS)
    if ":" in network:
        return f"{network}{rng.randrange(1, 65536):x}:{rng.randrange(1, 65536):x}::{rng.randrange(1, 65536):x}"
    return f"{network}{rng.randrange(1, 255)}"
