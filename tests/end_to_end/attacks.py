"""Attacks on the read API with a token of one role. Each takes `ask` and returns what it recovered.

The attacker knows all values that beacons may contain, as everybody can from the pages or from PHP's list of releases.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.fleet import versions

Answer = Mapping[str, Any]
Ask = Callable[..., Answer]  # (metric, **arguments)
Recovered = set[tuple[tuple[str, str], ...]]  # of each install: (dimension, value), by dimension
Values = Mapping[str, list[str]]


class Budget:
    """Asks questions until the budget is used up."""

    class Spent(Exception):
        """The budget is used up."""

    def __init__(self, ask: Ask, questions: int) -> None:
        self._ask, self.left, self.asked = ask, questions, 0

    def __call__(self, metric: str, **arguments: str) -> Answer:
        if not self.left:
            raise self.Spent
        self.left -= 1
        self.asked += 1
        return self._ask(metric, **arguments)


def yes_or_no(ask: Ask, day: date, module: str, values: Values) -> Recovered:
    """Add filters one by one, and follow those whose response differs from that of an unused value.

    Groups of k or more installs have their size, so that none of them is a single install's row.
    """
    found: Recovered = set()
    known: dict[frozenset[tuple[str, str]], tuple[Any, ...]] = {}

    def told(filters: Mapping[str, str]) -> tuple[Any, ...]:
        question = frozenset(filters.items())
        if question not in known:
            span = {"from": str(day), "to": str(day), "grain": "day", "by": "none"}
            answer = ask("installs", **span, module=module, **filters)
            rows = [(row["bucket"], row["key"], row["value"]) for row in answer["rows"]]
            known[question] = answer["suppressed"], rows
        return known[question]

    def follow(filters: dict[str, str], rest: list[str]) -> None:
        if not rest:
            if not any(row[2] for row in told(filters)[1]):
                found.add(tuple(sorted(filters.items())))
            return
        for value in values[rest[0]]:
            narrower = {**filters, rest[0]: value}
            if told(narrower) != nobody:
                follow(narrower, rest[1:])

    dimensions = list(values)
    try:
        nobody = told({dimensions[0]: "0.no-such-value"})
        for first in range(len(dimensions)):
            follow({}, dimensions[first:] + dimensions[:first])
    except Budget.Spent:
        pass
    return found


def difference(ask: Ask, start: date, end: date, module: str, values: Values) -> Recovered:
    """Compare counts with and without one more filter: where the difference is one, it reveals an install."""
    found: Recovered = set()
    known: dict[frozenset[tuple[str, str]], int | None] = {}

    def count(filters: Mapping[str, str]) -> int | None:
        question = frozenset(filters.items())
        if question not in known:
            span = {"from": str(start), "to": str(end), "grain": "period", "by": "none"}
            (row,) = ask("installs", **span, module=module, **filters)["rows"] or [{"value": None}]
            known[question] = row["value"]
        return known[question]

    def less(filters: Mapping[str, str], dimension: str, value: str) -> int | None:
        most, least = count(filters), count({**filters, dimension: value})
        return None if most is None or least is None else most - least

    def bases() -> Iterator[dict[str, str]]:
        yield {}
        yield from ({dimension: value} for dimension in values for value in values[dimension])

    try:
        for base in bases():
            for dimension in (name for name in values if name not in base):
                for value in values[dimension]:
                    if less(base, dimension, value) != 1:
                        continue
                    row = dict(base)
                    for other in (name for name in values if name not in base):
                        for one in values[other]:
                            narrower = {**base, other: one}
                            if (other, one) != (dimension, value) and less(narrower, dimension, value) == 1:
                                row[other] = one
                    if len(row) > len(base) + 1:
                        found.add(tuple(sorted(row.items())))
    except Budget.Spent:
        pass
    return found


def history(ask: Ask, start: date, end: date, modules: list[str]) -> int:
    """Count the joins of fewer than five installs that a period reveals against itself without its last day."""
    found = 0
    for module in modules:
        before: int | None = None
        for number in range((end - start).days + 1):
            span = {"from": str(start), "to": str(start + timedelta(days=number)), "grain": "period", "by": "none"}
            value = ask("installs", **span, module=module)["rows"][0]["value"]
            found += before is not None and value is not None and 0 < value - before < 5
            before = value if value is not None else before
    return found


def series(ask: Ask, day: date, pairs: Mapping[str, str], filters: Mapping[str, str], count: str) -> int:
    """How many series are told of which the versions that have rows leave one to four installs.

    `pairs` has the series of each dimension. A series without a row is in `(other)`, as the attacker supposes.
    """
    found = 0
    for fine, coarse in pairs.items():
        told: list[dict[str, int]] = []
        for by in (coarse, fine):
            rows = ask("installs", **{"from": str(day), "to": str(day)}, by=by, count=count, **filters)["rows"]
            told.append({row["key"]: row["value"] for row in rows if row["value"] is not None})
        wholes, parts = told
        for whole, installs in wholes.items():
            rest = installs - sum(
                value
                for key, value in parts.items()
                if key != "(other)" and (of if (of := versions.series(coarse, key)) in wholes else "(other)") == whole
            )
            found += 0 < rest < 5
    return found


def polling(
    ask: Ask, day: date, send: Callable[[int], None], beacons: int, dimensions: list[str]
) -> list[dict[str, str]]:
    """Ask before and after each beacon; return the values whose counts grew."""
    seen: list[dict[str, str]] = []

    def look() -> dict[tuple[str, str], int]:
        return {
            (dimension, row["key"]): row["value"] or 0
            for dimension in dimensions
            for row in ask("installs", **{"from": str(day), "to": str(day)}, by=dimension)["rows"]
        }

    before = look()
    for number in range(beacons):
        send(number)
        after = look()
        grown = {key for key in after if after[key] > before.get(key, 0) and key[1] != "(other)"}
        seen.append(dict(grown))
        before = after
    return seen


@dataclass(frozen=True)
class Seen:
    """What both planes showed of one beacon: what the figures say of it, and the licensing rows that may be its own."""

    said: dict[str, str]
    changed: set[str]  # the addresses of the rows that changed with it
    timed: set[str]  # the addresses of the rows whose time is that of its arrival


def both_planes(
    ask: Ask,
    rows: Callable[[], list[dict[str, Any]]],
    day: date,
    send: Callable[[int], None],
    beacons: int,
    dimensions: list[str],
) -> list[Seen]:
    """Look at the figures and at the licensing rows before and after each beacon."""
    moments = [datetime.now(UTC)]
    states = [rows()]

    def look(number: int) -> None:
        send(number)
        moments.append(datetime.now(UTC))
        states.append(rows())

    said = polling(ask, day, look, beacons, dimensions)
    times = {row["ip"]: row["last_seen"] for row in states[-1]}
    seen = []
    for number in range(beacons):
        changed = {row["ip"] for row in states[number + 1] if row not in states[number]}
        first, last = (f"{moment:%Y-%m-%dT%H:%M:%S.%f}" for moment in moments[number : number + 2])
        timed = {ip for ip, time in times.items() if first[: len(time)] <= time <= last[: len(time)]}
        seen.append(Seen(said[number], changed, timed))
    return seen
