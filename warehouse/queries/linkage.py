"""Measures how well an attacker could join the planes with all rows of both, but without the root secret.

For each install of the usage plane, an attack returns its candidates: the installs of the license plane that may be the
same install. It omits installs that it learns nothing about. An install with fewer than k candidates is exposed.
Pure, except for `read`.

The license plane shows of an install which modules it has, and a row for each batch since the daily pass that had
reports of it: their day of receipt. The rest is sealed. The rows of the usage plane are made to show the same.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.state_codec import LEAST

# The values that both planes hold, under the same names. The day is "" in what is known for longer than a day.
SHARED = ("day", "module")
PROBES = 64
BITS = 64
# The bits compared of cut ids. With a million ids in each plane, the chance that any pair agrees is 0.4%.
PIECE = 48
# A column that tells batches has nearly all groups in common with such a column of the other plane.
AGREE = 0.1
# Base64 of a state that a pass has written is longer.
SIZE = LEAST * 4 // 3
# States have reports of 13 months.
KEPT_DAYS = 396

Row = dict[str, Any]
Candidates = dict[int, frozenset[int]]
Key = Callable[[Row], Hashable]


@dataclass(frozen=True)
class Planes:
    """The rows of both planes in their order in ClickHouse, each with its columns and its part."""

    usage: list[Row]
    license: list[Row]
    shared: tuple[str, ...] = SHARED

    def said(self, row: Row) -> Hashable:
        """Return the values of a row that both planes hold."""
        return tuple(row[column] for column in self.shared)


@dataclass(frozen=True)
class Figure:
    """The result of an attack on `installs`: how many have fewer than k candidates, and how many have one."""

    attack: str
    exposed: int
    alone: int
    installs: int


def read(engine: Engine, since: date) -> Planes:
    """Return the rows of both planes: of all installs that the usage plane has seen from the day `since` on.

    Raises `EngineError`.
    """
    usage, license = engine.of("usage_beacons"), engine.of(state_rows.TABLE)
    # What a pass has merged is larger than what a batch has inserted.
    states = (
        f"SELECT *, length(sealed) AS size, if(size < {SIZE}, toString(toDate(written)), '') AS day, _part "  # noqa: S608
        f"FROM {state_rows.TABLE} ORDER BY _part, _part_offset"
    )
    theirs = [msgspec.json.decode(line) for line in license.json_rows(states, {}, {})]
    # Of an install that the pass has not seen yet, the attacker knows its modules all the same.
    merged = {(row["module"], row["install"]) for row in theirs if not row["day"]}
    unseen = {(row["module"], row["install"]) for row in theirs} - merged
    blank = dict.fromkeys(theirs[0] if theirs else (), "")
    theirs += [{**blank, "module": module, "install": install} for module, install in unseen]
    fresh = min((row["day"] for row in theirs if row["day"]), default=f"{_today()}")
    beacons = (
        "SELECT * EXCEPT (features, day), toString(received) AS day, _part FROM usage_beacons "
        "WHERE received >= {fresh:Date} ORDER BY _part, _part_offset"
    )
    # An install whose last reports the license plane has forgotten is in no state.
    installs = (
        "SELECT module, install, max(last_day) >= {since:Date} AS seen FROM installs GROUP BY module, install "
        "HAVING max(last_day) >= {kept:Date}"
    )
    reported = [msgspec.json.decode(line) for line in usage.json_rows(beacons, {"fresh": fresh}, {})]
    kept = {"since": since, "kept": _today() - timedelta(days=KEPT_DAYS)}
    known = [msgspec.json.decode(line) for line in usage.json_rows(installs, kept, {})]
    seen = {row["install"] for row in known if row.pop("seen")}
    nothing = dict.fromkeys(reported[0] if reported else ("day", "_part"), "")
    mine = [row for row in reported + [{**nothing, **row} for row in known] if row["install"] in seen]
    return Planes(mine, theirs)


def _today() -> date:
    return datetime.now(UTC).date()


def figures(planes: Planes, k: int) -> list[Figure]:
    """Return the result of each attack."""
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
    """Yield the name and the candidates of each attack. The name says what the attack compares."""
    yield "equal values in two columns", _fewest_candidates(equal_values(planes))
    yield "ids related by a constant or a cut", _fewest_candidates(related_ids(planes))
    yield "groups of rows by any two columns", _fewest_candidates(grouped(planes))
    yield "parts not merged yet", overlapping_parts(planes)
    yield "values of one row", alike(planes, lambda row: 0, lambda row: 0, whole=False)
    yield "modules of an install", modules(planes)
    yield "modules of an install, and its latest reports", modules(planes, fresh=True)


def equal_values(planes: Planes) -> Iterator[Candidates]:
    """For each pair of identifying columns, yield the installs with the same value."""
    theirs = [_installs_by_value(planes.license, column) for column in _identifying(planes.license)]
    for column in _identifying(planes.usage):
        mine = _installs_by_value(planes.usage, column)
        for holders in theirs:
            yield {
                install: frozenset(holders[value]) for value in mine.keys() & holders.keys() for install in mine[value]
            }


def related_ids(planes: Planes) -> Iterator[Candidates]:
    """For each pair of id columns, yield the installs whose ids one constant relates (xor, sum, difference).

    Also yield the installs whose ids have equal first or last `PIECE` bits.
    """
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
    theirs = [_installs_by_value(planes.license, column) for column in _identifying(planes.license, int)]
    for column in _identifying(planes.usage, int):
        mine = _installs_by_value(planes.usage, column)
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
    """Compare groups like `alike`, for each pair of columns other than the beacon's own values and the install's id."""
    said = {*planes.shared, "install", "status", "time"}
    usage, license = (rows[0].keys() - said if rows else set() for rows in (planes.usage, planes.license))
    # What is known of an install without a row has no value.
    mine = {column: replace(planes, usage=[row for row in planes.usage if row[column] != ""]) for column in usage}
    theirs = {
        other: (
            rows := [row for row in planes.license if row[other] != ""],
            _group_hashes(planes, rows, _by_column(other)),
        )
        for other in license
    }
    for column, of_column in mine.items():
        contents = _group_hashes(planes, of_column.usage, _by_column(column))
        for other, (rows, of_other) in theirs.items():
            if _agree(contents, of_other):
                compared = replace(of_column, license=rows)
                yield _match_groups(compared, _by_column(column), _by_column(other), contents, of_other)


def alike(planes: Planes, mine: Key, theirs: Key, *, whole: bool = True) -> Candidates:
    """Compare groups of rows: by `mine` in the usage plane and by `theirs` in the license plane.

    Groups with equal contents are assumed to hold the same beacons. The candidates of an install are the installs with
    its values in an equal group. Without `whole`, the contents of groups are not compared.
    """
    if not whole:
        return _match_groups(planes, mine, theirs, defaultdict(int), defaultdict(int))
    return _match_groups(
        planes,
        mine,
        theirs,
        _group_hashes(planes, planes.usage, mine, alone=True),
        _group_hashes(planes, planes.license, theirs, alone=True),
    )


def modules(planes: Planes, *, fresh: bool = False) -> Candidates:
    """Compare which modules an install has, and with `fresh` of which it has reported on the days since the daily pass.

    On the day of the pass the usage plane does not tell the reports before it from those after it: an install that
    reported before it may have wrong candidates.
    """
    usage, license = _known(planes, planes.usage, fresh=fresh), _known(planes, planes.license, fresh=fresh)
    alike: dict[Hashable, set[int]] = defaultdict(set)
    for install, known in license.items():
        alike[known].add(install)
    frozen = {known: frozenset(installs) for known, installs in alike.items()}
    found: Candidates = {}
    for install, known in usage.items():
        _narrow(found, install, frozen.get(known, frozenset()))
    return found


def _known(planes: Planes, rows: list[Row], *, fresh: bool) -> dict[int, frozenset[Hashable]]:
    """Return of each install its modules, and with `fresh` what it has reported since the daily pass."""
    known: dict[int, set[Hashable]] = defaultdict(set)
    for row in rows:
        known[row["install"]].add(row["module"])
        if fresh and row["day"]:
            known[row["install"]].add(planes.said(row))
    return {install: frozenset(each) for install, each in known.items()}


def overlapping_parts(planes: Planes) -> Candidates:
    """Compare the parts of both planes.

    The name of a part contains its range of inserts, and both planes get the same inserts. The candidates of an install
    are the installs with the same values in a part that shares an insert with its part.
    """
    said: dict[Hashable, dict[tuple[int, int], set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in planes.license:
        if row["_part"]:
            said[planes.said(row)][_inserts(row)].add(row["install"])
    known: dict[Hashable, frozenset[int]] = {}
    found: Candidates = {}
    for row in planes.usage:
        if not row["_part"]:
            continue
        key = shared, (first, last) = planes.said(row), _inserts(row)
        if key not in known:
            known[key] = frozenset().union(
                *(installs for (start, end), installs in said[shared].items() if start <= last and first <= end)
            )
        _narrow(found, row["install"], known[key])
    return found


def _agree(mine: dict[Hashable, int], theirs: dict[Hashable, int]) -> bool:
    """Return whether two columns may group the same beacons: more than a share `AGREE` of their groups are equal.

    Two small groups are equal by chance, for example because two random numbers collide. A group of one row is not
    compared: it reveals no more than its beacon.
    """
    my, their = (Counter(value for value in each.values() if value) for each in (mine, theirs))
    return (my & their).total() > AGREE * max(my.total(), their.total())


def _match_groups(
    planes: Planes, mine: Key, theirs: Key, my: dict[Hashable, int], their: dict[Hashable, int]
) -> Candidates:
    possible: dict[Hashable, set[int]] = defaultdict(set)
    for row in planes.license:
        possible[their[theirs(row)], planes.said(row)].add(row["install"])
    found: Candidates = {}
    frozen = {key: frozenset(installs) for key, installs in possible.items()}
    for row in planes.usage:
        _narrow(found, row["install"], frozen.get((my[mine(row)], planes.said(row)), frozenset()))
    return found


def _group_hashes(planes: Planes, rows: list[Row], key: Key, *, alone: bool = False) -> dict[Hashable, int]:
    """Return a hash of each group's shared values, in any order of rows. It is 0 for a single row, unless `alone`."""
    hashes: dict[Hashable, int] = defaultdict(int)
    counts: Counter[Hashable] = Counter()
    for row in rows:
        group = key(row)
        counts[group] += 1
        hashes[group] = (hashes[group] + hash(planes.said(row))) % 2**BITS
    return {group: hash((value, counts[group])) if alone or counts[group] > 1 else 0 for group, value in hashes.items()}


def _identifying(rows: list[Row], kind: type = object) -> list[str]:
    """Return the identifying columns: those with at least half as many values as there are installs."""
    installs = len({row["install"] for row in rows})
    return [
        column
        for column in (rows[0] if rows else ())
        if isinstance(rows[0][column], kind) and 2 * len({row[column] for row in rows}) >= installs
    ]


def _installs_by_value(rows: list[Row], column: str) -> dict[Any, set[int]]:
    holders: dict[Any, set[int]] = defaultdict(set)
    for row in rows:
        if row[column]:
            holders[row[column]].add(row["install"])
    return holders


def _fewest_candidates(attacks: Iterator[Candidates]) -> Candidates:
    """Return the best result of several attacks for each install: the fewest candidates."""
    found: Candidates = {}
    for attack in attacks:
        for install, candidates in attack.items():
            _narrow(found, install, candidates)
    return found


def _narrow(found: Candidates, install: int, candidates: frozenset[int]) -> None:
    if candidates and (install not in found or len(candidates) < len(found[install])):
        found[install] = candidates


def _by_column(column: str) -> Key:
    return lambda row: row[column]


def _inserts(row: Row) -> tuple[int, int]:
    """Return the first and the last insert in a row's part (`202611_1_7_2`)."""
    _, first, last, *_ = row["_part"].split("_")
    return int(first), int(last)
