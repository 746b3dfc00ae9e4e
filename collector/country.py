"""Looks up the country of an address in a database that the operator keeps up to date. Without one, no country.

The database is an MMDB file, or the folder of Debian's tor-geoipdb with two sorted lists of ranges, geoip and geoip6.
"""

import logging
import re
import shutil
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET6, inet_pton
from typing import Any

from core import hang_up
from core.client_address import canonical
from core.settings import SettingError, Settings

LISTS = ("geoip", "geoip6")
CHECK_SECONDS = 60.0

log = logging.getLogger("pharos.country")

Find = Callable[[str], Any]


class CountryError(Exception):
    """The database cannot be used. The message gives the reason, as the predicate of "PHAROS_COUNTRY_DATABASE …"."""


def lookup(settings: Settings) -> Callable[[str], str]:
    """Return the country lookup for `Planes` that the settings select. Raises `SettingError`."""
    if not settings.country_database:
        return lambda address: ""
    try:
        return Countries(Path(settings.country_database))
    except CountryError as error:
        raise SettingError(f"PHAROS_COUNTRY_DATABASE {error}") from None


class Countries:
    """Country codes by address, from the database at `path`. Reloads a database that was replaced.

    `made` is the build time of the data. Raises `CountryError` if the first load fails; if a later load fails, the
    previous data stays in use. Results are not cached: a lookup takes microseconds, and an install needs one a day.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._version = _version(path)
        self._find, self.made = _read(path)
        self._check_at, self._hang_ups = clock() + CHECK_SECONDS, hang_up.times()
        self._lock = threading.Lock()

    def __call__(self, address: str) -> str:
        """Return the ISO 3166 alpha-2 code; "" for an invalid or unknown address."""
        if self._clock() >= self._check_at or self._hang_ups != hang_up.times():
            self._renew()
        try:
            code = self._find(canonical(address))
        except ValueError:
            return ""
        return code if isinstance(code, str) and re.fullmatch("[A-Z]{2}", code) else ""

    def _renew(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread reloads the database
        try:
            self._check_at, self._hang_ups = self._clock() + CHECK_SECONDS, hang_up.times()
            version = _version(self._path)
            if version != self._version:
                self._version = version
                self._find, self.made = _read(self._path)
                log.info("reloaded the country database, which was replaced")
        except CountryError as error:
            log.warning("the country database %s; the previous data stays in use", error)
        finally:
            self._lock.release()


def _files(path: Path) -> list[Path]:
    return [path / name for name in LISTS] if path.is_dir() else [path]


def _version(path: Path) -> list[tuple[int, int, int]]:
    """Return a value that changes whenever the files are replaced."""
    try:
        return [(s.st_ino, s.st_mtime_ns, s.st_size) for s in (file.stat() for file in _files(path))]
    except OSError as error:
        raise CountryError(f"cannot be read: {error.strerror}") from None


def _read(path: Path) -> tuple[Find, datetime]:
    try:
        return _lists(path) if path.is_dir() else _mmdb(path)
    except OSError as error:
        raise CountryError(f"cannot be read: {error.strerror}") from None


def _mmdb(path: Path) -> tuple[Find, datetime]:
    try:
        import maxminddb
    except ImportError:
        raise CountryError("needs the package maxminddb: pip install 'pharos[geo]'") from None
    # Map a copy: overwriting a mapped file in place would kill this process with SIGBUS.
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfile(path, copy.name)
        try:
            reader = maxminddb.open_database(copy.name)
            made = datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
        except (maxminddb.InvalidDatabaseError, ValueError, OverflowError):
            raise CountryError("is not a readable MMDB file") from None

    def find(address: str) -> Any:
        try:
            record = reader.get(address)
        except maxminddb.InvalidDatabaseError:
            return None
        return _code(record) if isinstance(record, dict) else None

    return find, made


def _code(record: dict[str, Any]) -> Any:
    """Read `{"country": {"iso_code": …}}` (MaxMind, DB-IP), `{"country_code": …}` or `{"country": …}`."""
    country = record.get("country")
    return country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)


def _lists(path: Path) -> tuple[Find, datetime]:
    files = _files(path)
    ranges = {4: _Ranges(files[0], 4), 16: _Ranges(files[1], 16)}

    def find(address: str) -> str:
        packed = ip_address(address).packed
        return ranges[len(packed)].find(packed)

    return find, datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC)


class _Ranges:
    """One list with lines of `first,last,code`. It stores sorted ranges as bytes: Debian's 660,000 take 13 MB."""

    def __init__(self, path: Path, width: int) -> None:
        self._width = width
        first, last, codes = bytearray(), bytearray(), bytearray()
        try:
            with path.open(encoding="ascii") as lines:
                for line in lines:
                    if line[0] in "#\n":
                        continue
                    start, end, code = line.rstrip().split(",")
                    if len(code) != 2 or not last[-width:] < self._packed(start) <= self._packed(end):
                        raise ValueError(line)
                    first += self._packed(start)
                    last += self._packed(end)
                    codes += code.encode()
        except (ValueError, OverflowError):
            raise CountryError(f"holds a line in {path.name} that is not a sorted range of addresses") from None
        if not codes:
            raise CountryError(f"has no ranges in {path.name}")
        self._first, self._last, self._codes = bytes(first), bytes(last), codes.decode()

    def _packed(self, text: str) -> bytes:
        """Return an address as bytes. geoip contains addresses as numbers, geoip6 as text."""
        try:
            return int(text).to_bytes(4) if self._width == 4 else inet_pton(AF_INET6, text)
        except OSError:
            raise ValueError(text) from None

    def find(self, packed: bytes) -> str:
        """Return the code of the range that contains an address, "" if no range does."""
        width = self._width
        count = bisect_right(
            range(len(self._codes) // 2), packed, key=lambda index: self._first[index * width : (index + 1) * width]
        )
        if count == 0 or packed > self._last[(count - 1) * width : count * width]:
            return ""
        return self._codes[(count - 1) * 2 : count * 2]
