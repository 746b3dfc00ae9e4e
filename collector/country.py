"""The country of an address, from data that the operator keeps up to date; without such data, no country.

Read are an MMDB file, and the folder of Debian's tor-geoipdb with its two sorted lists of ranges, geoip and geoip6.
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
    """The data cannot be used; the message says why, to be read after the setting's name."""


def lookup(settings: Settings) -> Callable[[str], str]:
    """What the settings say of countries: a lookup for `Planes`. Raises `SettingError`."""
    if not settings.country_database:
        return lambda address: ""
    try:
        return Countries(Path(settings.country_database))
    except CountryError as error:
        raise SettingError(f"PHAROS_COUNTRY_DATABASE {error}") from None


class Countries:
    """Country codes by address, of the data at `path` as they are now: data that are replaced are read anew.

    `made` is when the data were made. Raises `CountryError` when they cannot be read at first; later the old are kept.
    Nothing is cached by address: a lookup takes microseconds, and an install asks for one a day.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._version = _version(path)
        self._find, self.made = _read(path)
        self._check_at, self._hang_ups = clock() + CHECK_SECONDS, hang_up.times()
        self._lock = threading.Lock()

    def __call__(self, address: str) -> str:
        """The ISO 3166 alpha-2 code, "" for an address that is none or that the data do not know."""
        if self._clock() >= self._check_at or self._hang_ups != hang_up.times():
            self._renew()
        try:
            code = self._find(canonical(address))
        except ValueError:
            return ""
        return code if isinstance(code, str) and re.fullmatch("[A-Z]{2}", code) else ""

    def _renew(self) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread is at it
        try:
            self._check_at, self._hang_ups = self._clock() + CHECK_SECONDS, hang_up.times()
            version = _version(self._path)
            if version != self._version:
                self._version = version
                self._find, self.made = _read(self._path)
                log.info("the country database was replaced and is read anew")
        except CountryError as error:
            log.warning("the country database %s; what was read before is kept", error)
        finally:
            self._lock.release()


def _files(path: Path) -> list[Path]:
    return [path / name for name in LISTS] if path.is_dir() else [path]


def _version(path: Path) -> list[tuple[int, int, int]]:
    """Something else whenever the files are others."""
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
    # A copy, because it is mapped into memory: whoever overwrites the file in place would end us by SIGBUS.
    with tempfile.NamedTemporaryFile() as copy:
        shutil.copyfile(path, copy.name)
        try:
            reader = maxminddb.open_database(copy.name)
            made = datetime.fromtimestamp(reader.metadata().build_epoch, UTC)
        except (maxminddb.InvalidDatabaseError, ValueError, OverflowError):
            raise CountryError("is no MMDB file that can be read") from None

    def find(address: str) -> Any:
        try:
            record = reader.get(address)
        except maxminddb.InvalidDatabaseError:
            return None
        return _code(record) if isinstance(record, dict) else None

    return find, made


def _code(record: dict[str, Any]) -> Any:
    """Of `{"country": {"iso_code": …}}` (MaxMind, DB-IP), `{"country_code": …}` or `{"country": …}`."""
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
    """One list, `first,last,code` a line: sorted ranges side by side in bytes. Debian's 660,000 take 13 MB."""

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
            raise CountryError(f"holds a line in {path.name} that is no sorted range of addresses") from None
        if not codes:
            raise CountryError(f"has nothing in {path.name}")
        self._first, self._last, self._codes = bytes(first), bytes(last), codes.decode()

    def _packed(self, text: str) -> bytes:
        """geoip has its addresses as numbers, geoip6 as addresses."""
        try:
            return int(text).to_bytes(4) if self._width == 4 else inet_pton(AF_INET6, text)
        except OSError:
            raise ValueError(text) from None

    def find(self, packed: bytes) -> str:
        """The code of the range that holds an address, "" when none does."""
        width = self._width
        count = bisect_right(
            range(len(self._codes) // 2), packed, key=lambda index: self._first[index * width : (index + 1) * width]
        )
        if count == 0 or packed > self._last[(count - 1) * width : count * width]:
            return ""
        return self._codes[(count - 1) * 2 : count * 2]
