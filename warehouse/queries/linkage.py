"""Can the planes be joined? What somebody finds out who has all rows of both, and not the root secret.

Each attack gives every install of the usage plane the installs of the license plane that it may be, its candidates;
where an attack has nothing to say of an install, that install is not in its answer. An install with fewer than k
candidates is exposed. Pure, but for `read`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec

from warehouse.engine import Engine

# What both planes hold of a beacon, by its names in either.
SHARED = ("day", "module", "version", "license_status", "country")
PROBES = 64
BITS = 64
# Of an id that was cut: two of a million of each plane agree in so many bits with a chance of 0.4%.
PIECE = 48

Row = dict[str, Any]
Candidates = dict[int, frozenset[int]]
Key = Callable[[Row], Hashable]


@dataclass(frozen=True)
class Planes:
    """The rows of both planes, as they lie in ClickHouse: each with its columns and its part, in their order there."""

    usage: list[Row]
    license: list[Row]


@dataclass(frozen=True)
class Figure:
    """What an attack achieves: of so many `installs`, those with fewer than k candidates, and those with one."""

    attack: str
    exposed: int
    alone: int
    installs: int


def read(engine: Engine, since: date) -> Planes:
    """All rows of both planes from a day on. Raises `EngineError`."""
    usage = "SELECT * EXCEPT features, _part FROM usage_beacons WHERE day >= {since:Date} ORDER BY _part, _part_offset"
    license = (
        "SELECT *, toString(toDate(time)) AS day, status AS license_status, _part FROM license_sightings "
        "WHERE time >= {since:Date} ORDER BY _part, _part_offset"
    )
    found = [
        [msgspec.json.decode(line) for line in engine.json_rows(sql, {"since": since}, {})] for sql in (usage, license)
    ]
    return Planes(*found)


def figures(planes: Planes, k: int) -> list[Figure]:
    """What each attack achieves."""
    installs = len({row["install"] for row in planes.usage})
    return [
        Figure(
            attack,
            sum(len(each) < k for each in found.values()),
            sum(len(each) == 1 for each in found.values()),
            installs,
        )
        for attack, found in attacks(planes)
    ]


def attacks(planes: Planes) -> Iterator[tuple[str, Candidates]]:
    """Each attack, by what it looks at, and what it finds."""
    yield "equal values in two columns", _joined(equal_values(planes))
    yield "ids that a constant or a cut turns into one another", _joined(related_ids(planes))
    yield "groups of rows that any two columns make", _joined(grouped(planes))
    yield "parts not merged yet", overlapping_parts(planes)
    yield "what one beacon says", alike(planes, lambda row: 0, lambda row: 0, whole=False)
    yield "what an install says in a day", alike(planes, _install_day, _install_day)
    yield "what an install says in all these days", alike(planes, _install, _install)


def equal_values(planes: Planes) -> Iterator[Candidates]:
    """For each two columns that tell installs apart: who has the same value."""
    theirs = [_holders(planes.license, column) for column in _telling(planes.license)]
    for column in _telling(planes.usage):
        mine = _holders(planes.usage, column)
        for holders in theirs:
            yield {
                install: frozenset(holders[value]) for value in mine.keys() & holders.keys() for install in mine[value]
            }


def related_ids(planes: Planes) -> Iterator[Candidates]:
    """For each two columns of ids: whom one constant (xor, sum, difference), or equal pieces, make of an install."""
    turns: tuple[Callable[[int, int], int], ...] = (
        lambda value, other: value ^ other,
        lambda value, other: (value + other) % 2**BITS,
        lambda value, other: (other - value) % 2**BITS,
    )
    back: tuple[Callable[[int, int], int], ...] = (
        lambda value, constant: value ^ constant,
        lambda value, constant: (constant - value) % 2**BITS,
        lambda value, constant: (value + constant) % 2**BITS,
    )
    cuts: tuple[Callable[[int], int], ...] = (lambda id: id >> BITS - PIECE, lambda id: id % 2**PIECE)
    theirs = [_holders(planes.license, column) for column in _telling(planes.license, int)]
    for column in _telling(planes.usage, int):
        mine = _holders(planes.usage, column)
        for holders in theirs:
            for turn, other in zip(turns, back, strict=True):
                probes = sorted(mine)[:PROBES]
                found = Counter(turn(value, id) for value in probes for id in holders)
                constant, times = found.most_common(1)[0]
                if times > len(probes) / 2:
                    pairs = ((value, other(value, constant)) for value in mine)
                    yield {i: frozenset(holders[id]) for value, id in pairs if id in holders for i in mine[value]}
            for cut in cuts:
                pieces = {cut(id): who for id, who in holders.items()}
                yield {i: frozenset(pieces[cut(v)]) for v, who in mine.items() if cut(v) in pieces for i in who}


def grouped(planes: Planes) -> Iterator[Candidates]:
    """For each two columns that neither say what a beacon says nor who sent it: as `alike`."""
    said = {*SHARED, "install", "status", "time"}
    usage, license = (rows[0].keys() - said if rows else set() for rows in (planes.usage, planes.license))
    theirs = {column: _contents(planes.license, _of(column)) for column in license}
    for column in usage:
        mine = _contents(planes.usage, _of(column))
        for other, contents in theirs.items():
            # A group of one row says no more than its beacon.
            if set(filter(None, mine.values())) & set(filter(None, contents.values())):
                yield _alike(planes, _of(column), _of(other), mine, contents)


def alike(planes: Planes, mine: Key, theirs: Key, *, whole: bool = True) -> Candidates:
    """Groups of rows that say the same, made by `mine` in the usage plane and by `theirs` in the license plane, are
    taken for the same beacons: the candidates of an install are those who say in such a group what it says there.

    Without `whole`, groups need not say the same.
    """
    if not whole:
        return _alike(planes, mine, theirs, defaultdict(int), defaultdict(int))
    return _alike(
        planes, mine, theirs, _contents(planes.usage, mine, alone=True), _contents(planes.license, theirs, alone=True)
    )


def overlapping_parts(planes: Planes) -> Candidates:
    """A part's name tells which inserts are in it, and both planes get the same inserts: the candidates of an install
    are those who say the same in a part that shares an insert with its part."""
    said: dict[Hashable, dict[tuple[str, int, int], set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in planes.license:
        said[_shared(row)][_inserts(row)].add(row["install"])
    known: dict[Hashable, frozenset[int]] = {}
    found: Candidates = {}
    for row in planes.usage:
        key = shared, (partition, first, last) = _shared(row), _inserts(row)
        if key not in known:
            known[key] = frozenset().union(
                *(
                    installs
                    for (other, start, end), installs in said[shared].items()
                    if other == partition and start <= last and first <= end
                )
            )
        _narrow(found, row["install"], known[key])
    return found


def _alike(planes: Planes, mine: Key, theirs: Key, my: dict[Hashable, int], their: dict[Hashable, int]) -> Candidates:
    possible: dict[Hashable, set[int]] = defaultdict(set)
    for row in planes.license:
        possible[their[theirs(row)], _shared(row)].add(row["install"])
    found: Candidates = {}
    frozen = {key: frozenset(installs) for key, installs in possible.items()}
    for row in planes.usage:
        _narrow(found, row["install"], frozen.get((my[mine(row)], _shared(row)), frozenset()))
    return found


def _contents(rows: list[Row], key: Key, *, alone: bool = False) -> dict[Hashable, int]:
    """A hash of all that the rows of each group say, whatever their order; 0 for a group of one, unless `alone`."""
    hashes: dict[Hashable, int] = defaultdict(int)
    counts: Counter[Hashable] = Counter()
    for row in rows:
        group = key(row)
        counts[group] += 1
        hashes[group] = (hashes[group] + hash(_shared(row))) % 2**BITS
    return {group: hash((value, counts[group])) if alone or counts[group] > 1 else 0 for group, value in hashes.items()}


def _telling(rows: list[Row], kind: type = object) -> list[str]:
    """The columns that tell installs apart: at least half as many values as installs."""
    installs = len({row["install"] for row in rows})
    return [
        column
        for column in (rows[0] if rows else ())
        if isinstance(rows[0][column], kind) and 2 * len({row[column] for row in rows}) >= installs
    ]


def _holders(rows: list[Row], column: str) -> dict[Any, set[int]]:
    holders: dict[Any, set[int]] = defaultdict(set)
    for row in rows:
        if row[column]:
            holders[row[column]].add(row["install"])
    return holders


def _joined(attacks: Iterator[Candidates]) -> Candidates:
    """Of several attacks the best at each install."""
    found: Candidates = {}
    for attack in attacks:
        for install, candidates in attack.items():
            _narrow(found, install, candidates)
    return found


def _narrow(found: Candidates, install: int, candidates: frozenset[int]) -> None:
    if candidates and (install not in found or len(candidates) < len(found[install])):
        found[install] = candidates


def _shared(row: Row) -> Hashable:
    return tuple(row[column] for column in SHARED)


def _install(row: Row) -> Hashable:
    install: int = row["install"]
    return install


def _install_day(row: Row) -> Hashable:
    return row["install"], row["day"]


def _of(column: str) -> Key:
    return lambda row: row[column]


def _inserts(row: Row) -> tuple[str, int, int]:
    """The first and the last insert in a row's part (`202611_1_7_2`), and its partition."""
    partition, first, last, *_ = row["_part"].split("_")
    return partition, int(first), int(last)
