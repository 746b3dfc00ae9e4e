"""Splits a beacon into a usage row and a license row, which share no key.

Each row has its own pseudonym and its own duplicate id, and counts by license source have a third pseudonym. The rows
share only module, version, license status, country and day. The pseudonyms are HMACs under different keys, and only the
collector has these keys. Pure. The rows are JSON lines for ClickHouse.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Literal

import msgspec

from collector.rights.encryption import encrypt
from collector.spool import Row
from core.client_address import canonical
from core.fields import columns
from core.home import derive
from core.keyed_hash import KeyedHash
from core.license_keys import LicenseKeys
from warehouse.plane_tables import Plane

Name = Plane | Literal["source"]
# In a license row, the pseudonym of the counts by source (`collector/source_counts.py`). No sighting is stored with it.
SOURCE_INSTALL = "source_install"
# The columns of keyed hashes of 64 bits.
_HASHES = frozenset({"install", "beacon", "key", SOURCE_INSTALL})
# A beacon's sent time is trusted from `OLDEST` ago to `NEWEST` ahead. Otherwise its clock is wrong, or it was delayed.
OLDEST = timedelta(days=7)
NEWEST = timedelta(minutes=10)
# A beacon of the day before that arrives within this time was on its way at midnight, or its clock is slow.
PROMPT = timedelta(minutes=10)
_TURNS, _GOLDEN = 65536, 40503


def _by_object(plane: Literal["usage", "license"], *but: str) -> list[tuple[tuple[str, ...], list[tuple[str, str]]]]:
    """Return the columns of a plane by JSON object, so that each object is looked up once.

    The form is (path of the object, [(column, name in the object)]).
    """
    objects: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for field, column in columns(plane):
        if column not in but:
            *parents, name = field.path.split(".")
            objects.setdefault(tuple(parents), []).append((column, name))
    return list(objects.items())


_USAGE = _by_object("usage", "features")
_LICENSE = _by_object("license", "key", "ip_claim")
_NOTHING: dict[str, Any] = {}


class Split(msgspec.Struct, frozen=True):
    """A split beacon: its duplicate id for the spool (`seen`) and a row for each plane (`usage`, `license`)."""

    seen: bytes
    usage: dict[str, Any]
    license: dict[str, Any]
    clock_skewed: bool
    sent: float

    def row(self) -> Row:
        """Return the row for the spool."""
        return Row(self.seen, encode(self.usage), encode(self.license))


class Planes:
    """Splits beacons with the keys of one root secret.

    `country` maps an address to an ISO 3166 code, or "" if it is unknown.
    """

    def __init__(self, root_secret: bytes, country: Callable[[str], str] = lambda address: "") -> None:
        self._country = country
        self._beacon = KeyedHash(derive(root_secret, "duplicates"))
        self._usage_install = KeyedHash(derive(root_secret, "usage install"))
        self._license_install = KeyedHash(derive(root_secret, "license install"))
        self._source_install = KeyedHash(derive(root_secret, "source install"))
        self._license_keys = LicenseKeys(root_secret)
        self._slot = KeyedHash(derive(root_secret, "heartbeat slot"))
        self._who = KeyedHash(derive(root_secret, "decisions"))
        self._seal = KeyedHash(derive(root_secret, "seal"))
        self._address = KeyedHash(derive(root_secret, "address limit"))

    def split(
        self, beacon: dict[str, Any], address: str, now: datetime, *, epoch: int = 0, keep_date: bool = False
    ) -> Split:
        """Split a validated beacon.

        `address` is the address of the connection ("" for an import). `now` is the time of receipt (UTC). `epoch` is
        the epoch of the install (`InstallState`). `keep_date` trusts any `sent_at`; imports use it.

        A license row is `received` if a connection delivered it on the day that it states. What was delivered later may
        be true, but the collector did not see it on that day.
        """
        # Three pieces of one HMAC reveal nothing about each other: a duplicate id for the spool and one for each plane.
        duplicate = self._beacon.digest(_uuid(beacon["beacon_id"]))
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
            "received": now.date().isoformat(),
            **_columns(_USAGE, beacon),
            "country": country,
            "features": beacon.get("features", _NOTHING),
        }
        license = {
            "install": pseudonyms["license"],
            SOURCE_INSTALL: pseudonyms["source"],
            "beacon": int.from_bytes(duplicate[24:]),
            "time": time.replace(tzinfo=None).isoformat(" ", "milliseconds"),
            **_columns(_LICENSE, beacon),
            "key": self._license_keys.pseudonym(key_hash) if key_hash else 0,
            "received": int(address != "" and (keep_date or _is_prompt(time, now))),
            "ip": address,
            "ip_claim": "" if not claim or (claim := canonical(claim)) == address else claim,
            "country": country,
        }
        return Split(duplicate[:16], usage, license, skewed and not keep_date, sent.timestamp())

    def who(self, install_id: str) -> int:
        """Return the id under which an install's decisions are stored: 63 bits of a keyed hash that is in no plane."""
        return self._who.pseudonym(_uuid(install_id)) >> 1

    def pseudonyms(self, install_id: bytes, epoch: int) -> dict[Name, int]:
        """Return an install's pseudonym in each plane, and in the counts by license source, for its `epoch`."""
        named = install_id + epoch.to_bytes(4) if epoch else install_id
        return {
            "usage": self._usage_install.pseudonym(named),
            "license": self._license_install.pseudonym(named),
            "source": self._source_install.pseudonym(named),
        }

    def sealing_key(self, install_id: str) -> bytes:
        """Return the key that encrypts a restricted install's rows. To derive it, a process needs the install_id."""
        return self._seal.digest(_uuid(install_id))

    def sealed(self, split: Split, install_id: str) -> Row:
        """Return the row for the spool of a restricted install's beacon: both planes' rows, encrypted as one."""
        return Row(
            split.seen,
            b"",
            b"",
            encode(sealed_row(self.sealing_key(install_id), self.who(install_id), split.usage, split.license)),
        )

    def next_in(self, install_id: str, now: datetime) -> int:
        """Return the seconds until the install's next heartbeat: its own slot of the day, 12 to 36 hours ahead.

        The slot is a keyed hash. After one beacon, a fleet whose cron jobs all run at midnight is spread over the day.
        Under load `collector.pace` defers the heartbeat by a day.
        """
        slot = self._slot.pseudonym(_uuid(install_id)) % 86400
        return int((slot - now.timestamp() - 43200) % 86400) + 43201

    def skips(self, install_id: str, heartbeat: datetime, pressure: float) -> bool:
        """Whether the install skips its next `heartbeat` at this pressure (0 to 1).

        An install may skip every other day: half of the fleet the even days, the other half the odd days. So each day
        loses the same share of the fleet, at most half. Whose turn it is at less than full pressure moves on by the
        golden ratio, so that in time each install skips equally often.
        """
        chance, (days, parity) = self._slot.pseudonym(_uuid(install_id)) // 86400, divmod(_day(heartbeat), 2)
        return chance % 2 == parity and (chance // 2 + days * _GOLDEN) % _TURNS < pressure * _TURNS

    def limited(self, address: str) -> str:
        """Return the name of an address in the limits per minute: a keyed hash; for IPv6, of its /64 network."""
        parsed = ip_address(address)
        network = parsed.packed if parsed.version == 4 else parsed.packed[:8]
        return f"address {self._address.pseudonym(network):016x}"


def encode(row: dict[str, Any]) -> bytes:
    """Return a row as one JSON line, without the newline."""
    return msgspec.json.encode(row)


def _day(moment: datetime) -> int:
    return int(moment.timestamp() // 86400)


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
    """Return a beacon's sent time (UTC), and whether it is too far from `now` to be trusted."""
    try:
        sent = msgspec.convert(sent_at, datetime).astimezone(UTC)
    except OverflowError:  # year 1 in a zone ahead of UTC, or year 9999 in a zone behind UTC
        return datetime.min.replace(tzinfo=UTC), True
    return sent, not now - OLDEST <= sent <= now + NEWEST


def _is_prompt(time: datetime, now: datetime) -> bool:
    """Return whether a beacon arrived on the day (UTC) that it states, or so soon after that it may be midnight's."""
    return time.date() == now.date() or now - PROMPT <= time <= now


def legible(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as an answer tells it: with its keyed hashes as 16 hexadecimal digits, null for none.

    JavaScript and jq read a JSON number as a double, which changes most numbers of 64 bits.
    """
    return {
        column: (f"{value:016x}" if value else None) if column in _HASHES else value for column, value in row.items()
    }


def sent_year(beacon: dict[str, Any]) -> int:
    """Return the year (UTC) of a beacon's sent time."""
    return _time(beacon["sent_at"], datetime.now(UTC))[0].year


def sealed_row(key: bytes, who: int, usage: dict[str, Any] | None, license: dict[str, Any] | None) -> dict[str, Any]:
    """Return the row or rows of a beacon, encrypted. Addresses are separate, because their retention is shorter."""
    addresses = {name: license.pop(name) for name in ("ip", "ip_claim") if license and name in license}
    sealed, sealed_ip = encrypt(key, {"usage": usage, "license": license}), encrypt(key, addresses)
    day = usage["day"] if usage else str(license["time"])[:10] if license else ""
    return {
        "who": who,
        "day": day,
        "sealed": base64.b64encode(sealed).decode(),
        "sealed_ip": base64.b64encode(sealed_ip).decode(),
    }
