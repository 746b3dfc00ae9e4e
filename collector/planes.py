"""Split a beacon into its usage row and its license row: two pseudonyms, two duplicate ids, nothing in common.

The two rows share module, version, license status, country and the day, and no key: the pseudonyms are HMACs under
different keys, which stay with the collector. Pure; the rows are the JSON lines that ClickHouse reads.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Literal

import msgspec

from collector.client import canonical
from warehouse.fields import columns
from warehouse.home import derive

# A beacon's own date is believed between these; outside, its clock is wrong or it lay somewhere.
OLDEST = timedelta(days=7)
NEWEST = timedelta(minutes=10)


def _by_object(plane: Literal["usage", "license"], *but: str) -> list[tuple[tuple[str, ...], list[tuple[str, str]]]]:
    """The columns of a plane as (path of the object, [(column, name in the object)]): each object is looked up once."""
    objects: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for field, column in columns(plane):
        if column not in but:
            *parents, name = field.path.split(".")
            objects.setdefault(tuple(parents), []).append((column, name))
    return list(objects.items())


_USAGE = _by_object("usage", "features")
_LICENSE = _by_object("license", "key", "ip_claim")
_NOTHING: dict[str, Any] = {}


@dataclass(frozen=True)
class Split:
    """A beacon as it is stored: `seen` knows it again in the spool, `usage` and `license` are the planes' rows."""

    seen: bytes
    usage: dict[str, Any]
    license: dict[str, Any]
    clock_skewed: bool


class Planes:
    """The split under the keys of one root secret.

    `country` maps an address to an ISO 3166 code, "" when it knows none.
    """

    def __init__(self, root_secret: bytes, country: Callable[[str], str] = lambda address: "") -> None:
        self._country = country
        self._beacon = derive(root_secret, "duplicates")
        self._usage_install = derive(root_secret, "usage install")
        self._license_install = derive(root_secret, "license install")
        self._license_key = derive(root_secret, "license key")
        self._slot = derive(root_secret, "heartbeat slot")
        self._address = derive(root_secret, "address limit")

    def split(self, beacon: dict[str, Any], address: str, now: datetime, *, keep_date: bool = False) -> Split:
        """Split a validated beacon.

        `address` is that of the connection ("" for an import), `now` the time of receipt (UTC), `keep_date` believes
        any `sent_at`, as the import does.
        """
        # Three pieces of one HMAC tell nothing about each other: a duplicate id for the spool and one for each plane.
        duplicate = hmac.digest(self._beacon, _uuid(beacon["beacon_id"]), "sha256")
        install_id = _uuid(beacon["install_id"])
        time, skewed = _time(beacon["sent_at"], now, keep_date)
        claim = beacon.get("server", _NOTHING).get("public_ip", "")
        key_hash = beacon["license"].get("key_hash")
        country = self._country(address or claim)
        usage = {
            "install": _pseudonym(self._usage_install, install_id),
            "beacon": int.from_bytes(duplicate[16:24]),
            "day": time.date().isoformat(),
            **_columns(_USAGE, beacon),
            "country": country,
            "features": beacon.get("features", _NOTHING),
        }
        license = {
            "install": _pseudonym(self._license_install, install_id),
            "beacon": int.from_bytes(duplicate[24:]),
            "time": time.replace(tzinfo=None).isoformat(" ", "milliseconds"),
            **_columns(_LICENSE, beacon),
            "key": _pseudonym(self._license_key, bytes.fromhex(key_hash)) if key_hash else 0,
            "ip": address,
            "ip_claim": "" if not claim or (claim := canonical(claim)) == address else claim,
            "country": country,
        }
        return Split(duplicate[:16], usage, license, skewed)

    def next_in(self, install_id: str, now: datetime) -> int:
        """Seconds until the install's next heartbeat: its own slot of the day, 12 to 36 hours ahead.

        The slot is a keyed hash, so a fleet whose cron jobs all run at midnight spreads over the day after one beacon.
        """
        slot = _pseudonym(self._slot, _uuid(install_id)) % 86400
        return int((slot - now.timestamp() - 43200) % 86400) + 43201

    def limited(self, address: str) -> str:
        """Under what an address is known to the limit per minute: a keyed hash, of an IPv6 address's network (/64)."""
        parsed = ip_address(address)
        network = parsed.packed if parsed.version == 4 else parsed.packed[:8]
        return f"address {_pseudonym(self._address, network):016x}"


def encode(row: dict[str, Any]) -> bytes:
    """A row as one JSON line, without the line end."""
    return msgspec.json.encode(row)


def _pseudonym(key: bytes, value: bytes) -> int:
    """64 bits of HMAC-SHA256, never 0 (0 stands for none).

    Two of ten million installs share one with a chance of 3 in a million; 16 bytes were most of what a row took.
    """
    return int.from_bytes(hmac.digest(key, value, "sha256")[:8]) or 1


def _uuid(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))


def _columns(objects: list[tuple[tuple[str, ...], list[tuple[str, str]]]], beacon: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for parents, names in objects:
        value = beacon
        for name in parents:
            value = value.get(name, _NOTHING)
        for column, name in names:
            row[column] = value.get(name, "")
    return row


def _time(sent_at: str, now: datetime, keep_date: bool) -> tuple[datetime, bool]:
    """The time that counts for a beacon (UTC), and whether its clock was too far off to be believed."""
    try:
        sent = msgspec.convert(sent_at, datetime).astimezone(UTC)
    except OverflowError:  # year 1 with a zone ahead of UTC, year 9999 with one behind
        return (datetime.min.replace(tzinfo=UTC), False) if keep_date else (now, True)
    if keep_date or now - OLDEST <= sent <= now + NEWEST:
        return sent, False
    return now, True
