"""Split a beacon into its usage row and its license row: two pseudonyms, two duplicate ids, nothing in common.

The two rows share module, version, license status, country and the day, and no key: the pseudonyms are HMACs under
different keys, which stay with the collector. Pure; the rows are the JSON lines that ClickHouse reads.
"""

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Literal

import msgspec

from collector.rights.encryption import encrypt
from collector.spool import Row
from core.client_address import canonical
from core.fields import columns
from core.home import derive
from warehouse.install_data import Plane

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
    sent: float

    def row(self) -> Row:
        """As the spool takes it."""
        return Row(self.seen, encode(self.usage), encode(self.license))


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
        self._who = derive(root_secret, "decisions")
        self._seal = derive(root_secret, "seal")
        self._address = derive(root_secret, "address limit")

    def split(
        self, beacon: dict[str, Any], address: str, now: datetime, *, epoch: int = 0, keep_date: bool = False
    ) -> Split:
        """Split a validated beacon.

        `address` is that of the connection ("" for an import), `now` the time of receipt (UTC), `epoch` the install's
        (`Standing`), `keep_date` believes any `sent_at`, as the import does.
        """
        # Three pieces of one HMAC tell nothing about each other: a duplicate id for the spool and one for each plane.
        duplicate = hmac.digest(self._beacon, _uuid(beacon["beacon_id"]), "sha256")
        install_id = _uuid(beacon["install_id"])
        pseudonyms = self.pseudonyms(install_id, epoch)
        sent, skewed = _time(beacon["sent_at"], now)
        time = sent if keep_date or not skewed else now
        claim = beacon.get("server", _NOTHING).get("public_ip", "")
        key_hash = beacon["license"].get("key_hash")
        country = self._country(address or claim)
        usage = {
            "install": pseudonyms["usage"],
            "beacon": int.from_bytes(duplicate[16:24]),
            "day": time.date().isoformat(),
            **_columns(_USAGE, beacon),
            "country": country,
            "features": beacon.get("features", _NOTHING),
        }
        license = {
            "install": pseudonyms["license"],
            "beacon": int.from_bytes(duplicate[24:]),
            "time": time.replace(tzinfo=None).isoformat(" ", "milliseconds"),
            **_columns(_LICENSE, beacon),
            "key": _pseudonym(self._license_key, bytes.fromhex(key_hash)) if key_hash else 0,
            "ip": address,
            "ip_claim": "" if not claim or (claim := canonical(claim)) == address else claim,
            "country": country,
        }
        return Split(duplicate[:16], usage, license, skewed and not keep_date, sent.timestamp())

    def who(self, install_id: str) -> int:
        """Under what an install's decisions are kept: 63 bits of a keyed hash that neither plane holds."""
        return _pseudonym(self._who, _uuid(install_id)) >> 1

    def pseudonyms(self, install_id: bytes, epoch: int) -> dict[Plane, int]:
        """An install's pseudonym in each plane, as of its `epoch`."""
        named = install_id + epoch.to_bytes(4) if epoch else install_id
        return {"usage": _pseudonym(self._usage_install, named), "license": _pseudonym(self._license_install, named)}

    def sealing_key(self, install_id: str) -> bytes:
        """The key under which a restricted install's rows are sealed: it takes the install_id to make."""
        return hmac.digest(self._seal, _uuid(install_id), "sha256")

    def sealed(self, split: Split, install_id: str) -> Row:
        """A restricted install's beacon as the spool takes it: both planes' rows as one that nobody can read."""
        return Row(
            split.seen,
            b"",
            b"",
            encode(sealed_row(self.sealing_key(install_id), self.who(install_id), split.usage, split.license)),
        )

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


def _time(sent_at: str, now: datetime) -> tuple[datetime, bool]:
    """When a beacon says it was sent (UTC), and whether its clock is too far off to be believed."""
    try:
        sent = msgspec.convert(sent_at, datetime).astimezone(UTC)
    except OverflowError:  # year 1 with a zone ahead of UTC, year 9999 with one behind
        return datetime.min.replace(tzinfo=UTC), True
    return sent, not now - OLDEST <= sent <= now + NEWEST


def sent_year(beacon: dict[str, Any]) -> int:
    """The year (UTC) in which a beacon says it was sent."""
    return _time(beacon["sent_at"], datetime.now(UTC))[0].year


def sealed_row(key: bytes, who: int, usage: dict[str, Any] | None, license: dict[str, Any] | None) -> dict[str, Any]:
    """The planes' rows of one beacon, or one of them, sealed: the addresses apart, because they are kept for less."""
    addresses = {name: license.pop(name) for name in ("ip", "ip_claim") if license and name in license}
    sealed, sealed_ip = encrypt(key, {"usage": usage, "license": license}), encrypt(key, addresses)
    day = usage["day"] if usage else str(license["time"])[:10] if license else ""
    return {
        "who": who,
        "day": day,
        "sealed": base64.b64encode(sealed).decode(),
        "sealed_ip": base64.b64encode(sealed_ip).decode(),
    }
