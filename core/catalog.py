"""The catalog: modules, features and license sources that may be stored, each with purpose, owner and expiry.

The operator writes it as a TOML file. Mode `open` also stores values without an entry, mode `declared` does not.
Neither mode stores expired values.
"""

import logging
import re
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from core import hang_up
from core.fields import FIELDS, VERSION
from core.home import Home
from core.settings import Settings

Kind = Literal["module", "feature", "source"]

MODES = ("open", "declared")
_FIELDS: dict[Kind, str] = {"module": "module.name", "feature": "features", "source": "license.source"}
PATTERNS = {kind: next(each.pattern for each in FIELDS if each.path == path) for kind, path in _FIELDS.items()}
# The keys that not every kind of entry may have.
_KINDS_WITH: dict[str, tuple[Kind, ...]] = {
    "title": ("module", "feature"),
    "module": ("feature",),
    "releases": ("module",),
}
SOON = timedelta(days=30)
CHECK_SECONDS = 1.0

log = logging.getLogger("pharos.catalog")


class CatalogError(Exception):
    """A catalog cannot be used. `problems` lists every error, with its line if known."""

    def __init__(self, path: Path, *problems: str) -> None:
        more = f" (and {len(problems) - 1} more: pharos catalog check)" if len(problems) > 1 else ""
        super().__init__(f"{path}: {problems[0]}{more}")
        self.problems = problems


@dataclass(frozen=True)
class Entry:
    """A value that may be stored. `expires` is its last day (UTC), `title` its display name.

    `module` is the module of a feature, empty if it may be of any. `releases` are the release dates of a module's
    versions.
    """

    kind: Kind
    name: str
    purpose: str
    owner: str
    title: str = ""
    expires: date | None = None
    releases: Mapping[str, date] = field(default_factory=dict)
    module: str = ""

    def expired(self, today: date) -> bool:
        """Whether it is no longer stored."""
        return self.expires is not None and self.expires < today


@dataclass(frozen=True)
class Catalog:
    """A mode and entries, by kind and name. `reported` are the releases that build servers report, by module."""

    mode: str = "open"
    entries: Mapping[tuple[Kind, str], Entry] = field(default_factory=dict)
    reported: Mapping[str, Mapping[str, date]] = field(default_factory=dict)

    @property
    def takes_all(self) -> bool:
        """Whether the catalog rejects nothing, today or later."""
        return self.mode == "open" and not self.entries

    def stores(self, kind: Kind, name: str, today: date) -> bool:
        """Whether the value `name` may be stored."""
        entry = self.entries.get((kind, name))
        return self.mode == "open" if entry is None else not entry.expired(today)

    def releases(self, module: str) -> Mapping[str, date]:
        """Return the release dates of a module's versions. What the catalog declares goes before what is reported."""
        entry = self.entries.get(("module", module))
        return {**self.reported.get(module, {}), **(entry.releases if entry else {})}

    def released_modules(self) -> set[str]:
        """Return the names of the modules with a release date."""
        return {*self.reported, *(name for (kind, name), entry in self.entries.items() if entry.releases)}

    def expiring(self, today: date) -> list[Entry]:
        """Return the entries that have expired or expire soon, by date."""
        dated = [(each.expires, each.kind, each.name, each) for each in self.entries.values() if each.expires]
        return [each for expires, *_, each in sorted(dated, key=lambda one: one[:3]) if expires <= today + SOON]

    def __str__(self) -> str:
        counts = [f"{sum(each.kind == kind for each in self.entries.values())} {kind}s" for kind in PATTERNS]
        return f"mode {self.mode}, {', '.join(counts)}"


def read(path: Path) -> Catalog:
    """Read the catalog from a file. Raises `CatalogError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        tables = tomllib.loads(text)
    except OSError as error:
        raise CatalogError(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CatalogError(path, "is not UTF-8") from None
    except ValueError as error:
        raise CatalogError(path, _syntax(error)) from None
    except RecursionError:
        raise CatalogError(path, "is nested too deep") from None
    if not tables:
        # A full disk or an interrupted copy leaves an empty file. To store everything, write mode = "open".
        raise CatalogError(path, "is empty: it must have a mode or an entry")
    catalog, problems = _read(tables, text)
    if problems:
        raise CatalogError(path, *(f"line {line}: {said}" if line else said for line, said in problems))
    return catalog


def _syntax(error: Exception) -> str:
    """Return the parser's message with the line first, as in all other messages."""
    at = re.search(r" \(at line (\d+), column \d+\)\Z", str(error))
    return f"line {at[1]}: {str(error)[: at.start()]}" if at else str(error)


_Problems = list[tuple[int, str]]  # the line, 0 if unknown, and the error


def _read(tables: dict[str, Any], text: str) -> tuple[Catalog, _Problems]:
    problems: _Problems = []
    mode = tables.pop("mode", "open")
    if mode not in MODES:
        problems.append((0, f"mode must be {' or '.join(MODES)}"))
    entries: dict[tuple[Kind, str], Entry] = {}
    for kind in PATTERNS:
        given = tables.pop(kind, [])
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            problems.append((0, f"an entry begins with [[{kind}]]"))
            continue
        heads = _entry_lines(text, kind)
        for number, table in enumerate(given):
            line = heads[number] if len(heads) == len(given) else 0
            found = _problems(kind, table)
            name = table.get("name")
            if not found and (kind, name) in entries:
                found = ["is declared twice"]
            called = name if isinstance(name, str) else f"number {number + 1}"
            problems += [(line, f"{kind} {called}: {said}") for said in found]
            if not found:
                entries[kind, table["name"]] = Entry(kind, **table)
    problems += [(0, f"{name} is neither mode nor {', '.join(PATTERNS)}") for name in tables]
    return Catalog(mode, entries), sorted(problems, key=lambda problem: problem[0])


def _entry_lines(text: str, kind: Kind) -> list[int]:
    """Return the lines on which the entries of a kind begin. The parser does not report them."""
    head = re.compile(rf"\s*\[\[\s*{kind}\s*\]\]")
    return [number for number, line in enumerate(text.splitlines(), 1) if head.match(line)]


def _problems(kind: Kind, table: dict[str, Any]) -> list[str]:
    """Return the errors of an entry."""
    found = []
    known = [key for key in tuple(Entry.__annotations__)[1:] if kind in _KINDS_WITH.get(key, PATTERNS)]
    found += [f"has an unknown key {key}; known are {', '.join(known)}" for key in table if key not in known]
    for key in ("name", "purpose", "owner", "title", "module"):
        if key not in table:
            found += [] if key in _KINDS_WITH else [f"has no {key}"]
        elif not isinstance(table[key], str) or not table[key].strip() or not table[key].isprintable():
            found.append(f"{key} must be a line of text")
    if not found and not re.fullmatch(PATTERNS[kind], table["name"], re.ASCII):
        found.append(f"its name must match {PATTERNS[kind]}")
    if not found and "module" in table and not re.fullmatch(PATTERNS["module"], table["module"], re.ASCII):
        found.append(f"its module must match {PATTERNS['module']}")
    if "expires" in table and not _is_date(table["expires"]):
        found.append("expires must be a date, as 2027-06-30, without quotes")
    releases = table.get("releases", {})
    if not isinstance(releases, dict) or not all(
        re.fullmatch(VERSION, version, re.ASCII) and _is_date(day) for version, day in releases.items()
    ):
        found.append('releases must be versions with dates, as { "3.2.0" = 2027-06-30 }')
    return found


def _is_date(value: Any) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def place(settings: Settings, home: Home) -> Path:
    """Return the path of the catalog: the setting, or `catalog.toml` in the home."""
    return Path(settings.catalog) if settings.catalog else home.catalog


def watch(settings: Settings, home: Home) -> "Watched":
    """Return the catalog of the settings, or of the home if it has one. Without a catalog everything is stored.

    Raises `CatalogError`.
    """
    path = place(settings, home)
    if settings.catalog or path.exists() or path.is_symlink():
        return Watched(path, read(path))
    return Watched(path)


class Watched:
    """The current catalog. Checks the file once a second. `first` is in force until a valid file is read.

    While the file is invalid or missing, the last valid catalog stays in force, so that rejected values stay rejected.
    """

    def __init__(self, path: Path, first: Catalog | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._catalog = first or Catalog()
        self._version: tuple[int, int, int] | None = None
        self._check_at = float("-inf")
        self._hang_ups = hang_up.times()
        self._lock = threading.Lock()

    def __call__(self) -> Catalog:
        """Return the catalog in force."""
        # While one thread reads the file, the others use the previous catalog.
        due = self._clock() >= self._check_at or self._hang_ups != hang_up.times()
        if due and self._lock.acquire(blocking=False):
            try:
                self._renew()
            finally:
                self._lock.release()
        return self._catalog

    def _renew(self) -> None:
        self._check_at, self._hang_ups = self._clock() + CHECK_SECONDS, hang_up.times()
        try:
            stat = self._path.stat()
            version = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            version = None
        if version == self._version:
            return
        self._version = version
        try:
            self._catalog = read(self._path)
        except CatalogError as error:
            log.warning("%s; the last valid catalog stays in force", error)
        else:
            log.info("catalog loaded: %s", self._catalog)
