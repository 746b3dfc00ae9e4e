"""The catalog: modules, features and license sources that may be stored, each with why, for whom, and until when.

A TOML file of the operator's. In mode `open` what it does not name is stored too, in mode `declared` it is not; what
has expired is stored in neither.
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
from core.fields import FIELDS
from core.home import Home
from core.settings import Settings

Kind = Literal["module", "feature", "source"]

MODES = ("open", "declared")
_FIELDS: dict[Kind, str] = {"module": "module.name", "feature": "features", "source": "license.source"}
PATTERNS = {kind: next(each.pattern for each in FIELDS if each.path == path) for kind, path in _FIELDS.items()}
SOON = timedelta(days=30)
CHECK_SECONDS = 1.0

log = logging.getLogger("pharos.catalog")


class CatalogError(Exception):
    """A catalog that cannot be used: all that is wrong with it, each with its line where that is known."""

    def __init__(self, path: Path, *problems: str) -> None:
        more = f" (and {len(problems) - 1} more: pharos catalog check)" if len(problems) > 1 else ""
        super().__init__(f"{path}: {problems[0]}{more}")
        self.problems = problems


@dataclass(frozen=True)
class Entry:
    """Something that may be stored: `expires` is the last day (UTC) on which it is, `title` what people call it."""

    kind: Kind
    name: str
    purpose: str
    owner: str
    title: str = ""
    expires: date | None = None

    def expired(self, today: date) -> bool:
        """Whether it is stored no longer."""
        return self.expires is not None and self.expires < today


@dataclass(frozen=True)
class Catalog:
    """A mode and entries, by kind and name."""

    mode: str = "open"
    entries: Mapping[tuple[Kind, str], Entry] = field(default_factory=dict)

    @property
    def takes_all(self) -> bool:
        """Whether there is nothing that it keeps out, today or later."""
        return self.mode == "open" and not self.entries

    def stores(self, kind: Kind, name: str, today: date) -> bool:
        """Whether what is called so may be stored."""
        entry = self.entries.get((kind, name))
        return self.mode == "open" if entry is None else not entry.expired(today)

    def expiring(self, today: date) -> list[Entry]:
        """What has expired, and what does so soon, by date."""
        dated = [(each.expires, each.kind, each.name, each) for each in self.entries.values() if each.expires]
        return [each for expires, *_, each in sorted(dated, key=lambda one: one[:3]) if expires <= today + SOON]

    def __str__(self) -> str:
        counts = [f"{sum(each.kind == kind for each in self.entries.values())} {kind}s" for kind in PATTERNS]
        return f"mode {self.mode}, {', '.join(counts)}"


def read(path: Path) -> Catalog:
    """The catalog in a file. Raises `CatalogError`."""
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
        # A full disk or an interrupted copy leaves this. Who wants to store all says so: mode = "open".
        raise CatalogError(path, "is empty: it must have a mode or an entry")
    catalog, problems = _read(tables, text)
    if problems:
        raise CatalogError(path, *(f"line {line}: {said}" if line else said for line, said in problems))
    return catalog


def _syntax(error: Exception) -> str:
    """What the parser says, the line in front, as in all other messages."""
    at = re.search(r" \(at line (\d+), column \d+\)\Z", str(error))
    return f"line {at[1]}: {str(error)[: at.start()]}" if at else str(error)


_Problems = list[tuple[int, str]]  # the line, 0 where it is not known, and what is wrong there


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
        heads = _heads(text, kind)
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


def _heads(text: str, kind: Kind) -> list[int]:
    """The lines on which the entries of a kind begin: the parser does not tell them."""
    head = re.compile(rf"\s*\[\[\s*{kind}\s*\]\]")
    return [number for number, line in enumerate(text.splitlines(), 1) if head.match(line)]


def _problems(kind: Kind, table: dict[str, Any]) -> list[str]:
    """What is wrong with an entry."""
    found = []
    known = ("name", "purpose", "owner", "expires") if kind == "source" else tuple(Entry.__annotations__)[1:]
    found += [f"has no such key as {key}; known are {', '.join(known)}" for key in table if key not in known]
    for key in ("name", "purpose", "owner", "title"):
        if key not in table:
            found += [] if key == "title" else [f"has no {key}"]
        elif not isinstance(table[key], str) or not table[key].strip() or not table[key].isprintable():
            found.append(f"{key} must be a line of text")
    if not found and not re.fullmatch(PATTERNS[kind], table["name"], re.ASCII):
        found.append(f"its name must match {PATTERNS[kind]}")
    expires = table.get("expires")
    if "expires" in table and (not isinstance(expires, date) or isinstance(expires, datetime)):
        found.append("expires must be a date, as 2027-06-30, without quotes")
    return found


def place(settings: Settings, home: Home) -> Path:
    """Where the catalog is: the setting, or `catalog.toml` in the home."""
    return Path(settings.catalog) if settings.catalog else home.catalog


def watch(settings: Settings, home: Home) -> "Watched":
    """The catalog that the settings name, or the home's if it has one; without one all is taken.

    Raises `CatalogError`.
    """
    path = place(settings, home)
    if settings.catalog or path.exists() or path.is_symlink():
        return Watched(path, read(path))
    return Watched(path)


class Watched:
    """The catalog as its file is now, looked at once a second; `first` is in force until there is one that can be read.

    A file that is broken or gone leaves in force what was read last, for what was refused must not come in by mistake.
    """

    def __init__(self, path: Path, first: Catalog | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._catalog = first or Catalog()
        self._version: tuple[int, int, int] | None = None
        self._check_at = float("-inf")
        self._hang_ups = hang_up.times()
        self._lock = threading.Lock()

    def __call__(self) -> Catalog:
        """The catalog that is in force."""
        # Whoever comes while another thread reads goes on with what was read before.
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
            log.warning("%s; what was read before stays in force", error)
        else:
            log.info("the catalog is read: %s", self._catalog)
