"""`drop`: whom it would hurt to drop support for what a condition selects, such as `php_series.lt=8.0`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from warehouse.at_once import at_once
from warehouse.queries import dimensions, month_bits
from warehouse.queries.dimensions import QueryError
from warehouse.queries.questions import hiding
from warehouse.queries.questions.question import Arguments, Question
from warehouse.queries.questions.reader import Reader
from warehouse.queries.reported_values import RANK_BITS, ReportedValues
from warehouse.queries.small_groups import OTHER

SUMMARY = "Installs that dropping support would hurt: in all, by module version, and the features that they use more"
PARAMETERS = ("from", "to")
DEFAULT_DAYS = 30
# An install still upgrades if it reported two versions of the module within these days, up to `to`.
UPGRADE_DAYS = 183
MOST_FEATURES = 20
# A condition by more dimensions has no bounds: no metric is grouped by so many.
MOST_BOUNDED = 2


@dataclass(frozen=True)
class Counts:
    """Installs of a group: those that meet the condition and those that do not, and how many of each still upgrade."""

    hit: int = 0
    others: int = 0
    hit_upgrading: int = 0
    others_upgrading: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(one + two for one, two in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[int, ...]:
        """The four numbers."""
        return self.hit, self.others, self.hit_upgrading, self.others_upgrading


@dataclass(frozen=True)
class Values:
    """The installs of a module by the values that the condition is about, as a grouping by these tells them.

    `met` has those of the rows that meet the condition. `folded` and `folded_met` have those in `(other)`.
    """

    counts: Counts
    met: int
    folded: int
    folded_met: int

    @property
    def of(self) -> int:
        """The installs that answer."""
        return self.counts.hit + self.counts.others

    def tells(self, condition: str, k: int) -> bool:
        """Return whether the one filter that there is may be told: `_may_tell`, as the rows and `(other)` have it."""
        all_met = dimensions.is_condition(condition) and self.folded_met == self.folded
        return k == 1 or (self.counts.hit >= k and (self.folded_met == 0 or all_met))


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    arguments.module()
    start, end = arguments.span(DEFAULT_DAYS, last_day)
    question = Question("drop", start, end, arguments.filters(), {}, min(start, _upgrades_from(end)))
    if not question.conditions:
        raise QueryError("missing_field", "query", "a condition must be given, such as php_series.lt=8.0")
    return question


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    k = reader.terms.k
    may_tell, versions, features, _ = at_once(
        partial(_may_tell, reader),
        partial(_by_version, reader),
        partial(_by_feature, reader),
        reader.covered,
    )
    if not may_tell:
        versions, features = {}, {}
    total = sum(versions.values(), Counts())
    folded = hiding.fold({version: (one.hit, one.others) for version, one in versions.items()}, k)
    rows = [_row(reader, version, *parts) for version, parts in folded.shown.items()]
    rows.sort(key=lambda row: (-(row["installs"] or 0), row["version"]))
    if folded.other:
        rows.append(_row(reader, OTHER, *folded.other))
    values = None
    if not hiding.part(total.hit, total.hit + total.others, k):
        values = _values(reader, reader.question.start).get(reader.question.filters["module"])
    whole = _whole(reader, total, values)
    return reader.answer(
        rows,
        reader.coverage(
            [whole["of"], whole["at_least"], whole["at_most"]],
            answered=values.of if values else total.hit + total.others,
        ),
        **whole,
        still_upgrading=_still_upgrading(reader, total),
        features=_features(reader, total, features),
        suppressed=folded.number,
    )


def of_each_module(reader: Reader, modules: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the members of the answer that are about all versions, but for `features`, for each module.

    The question of `reader` names no module. Raises `EngineError`.
    """
    alone = {module: reader.with_filter("module", module) for module in modules}
    if reader.divisor > 1:  # for each module another sample may answer, or all installs
        return {module: answer(one) for module, one in alone.items()}
    values = _values(reader)
    first, *more = reader.question.conditions
    if more:
        told = {module for module, one in alone.items() if _may_tell(one)}
    else:
        told = {module for module, one in values.items() if one.tells(first, reader.terms.k)}
    found = {module: values[module].counts if module in values.keys() & told else Counts() for module in modules}
    return {
        module: {
            **_whole(reader, one, values.get(module)),
            "still_upgrading": _still_upgrading(reader, one),
        }
        for module, one in found.items()
    }  # fmt: skip


def _may_tell(reader: Reader) -> bool:
    """Return whether the filters may be told of the module. Without k, nobody who meets them is a number, too."""
    return reader.terms.k == 1 or bool(reader.told(count="latest"))


def _whole(reader: Reader, total: Counts, values: Values | None) -> dict[str, Any]:
    """Return the members that say how many installs meet the condition, or between which numbers that is."""
    part = reader.part(total.hit, total.hit + total.others)
    if values is None or part["installs"] is not None:
        return {**part, "at_least": part["installs"], "at_most": part["installs"]}
    part = reader.part_if(None, values.of)
    if len(set(map(dimensions.dimension_of, reader.question.conditions))) > MOST_BOUNDED:
        return {**part, "at_least": None, "at_most": None}
    return {**part, "at_least": reader.count(values.met), "at_most": reader.count(values.met + values.folded)}


def _row(reader: Reader, version: str, hit: int, others: int) -> dict[str, Any]:
    return {"version": version, **reader.part(hit, hit + others)}


def _still_upgrading(reader: Reader, total: Counts) -> dict[str, Any]:
    """Return how many of the installs that still upgrade meet the condition, unless it discloses how few do not."""
    hit, others = total.hit_upgrading, total.others_upgrading
    groups = {"upgrading": (hit, others), "not": (total.hit - hit, total.others - others)}
    if hiding.fold(groups, reader.terms.k).number:
        return {"installs": None, "of": None, "share": None}
    return reader.part(hit, hit + others)


def _features(reader: Reader, total: Counts, features: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the features that a larger share of the installs uses that meet the condition than of the others.

    A share discloses the number of installs that it is of, so there are none if that is hidden.
    """
    k = reader.terms.k
    rows: list[dict[str, Any]] = []
    if not hiding.part(total.hit, total.hit + total.others, k):
        return rows
    for feature, (hit, others) in features.items():
        if hiding.part(hit, total.hit, k) and hit * total.others > others * total.hit:
            shown = reader.count(others) if hiding.part(others, total.others, k) else None
            share = reader.share(reader.count(hit), reader.count(total.hit))
            share_of_others = reader.share(shown, reader.count(total.others))
            rows.append(
                {"feature": feature, "installs": reader.count(hit), "share": share, "share_of_others": share_of_others}
            )
    rows.sort(key=lambda row: ((row["share_of_others"] or 0) - (row["share"] or 0), row["feature"]))
    return rows[:MOST_FEATURES]


def _values(reader: Reader, since: date | None = None) -> dict[str, Values]:
    """Return for each module of k installs that answer, and with a row of its own, what its values tell.

    They are the rows of `installs` by the dimensions of the condition, with `count=latest` and without filters but the
    module. With `since` as in `_latest`.
    """
    by, columns = ("module", "value", "hit"), ("installs", "still")
    sql, parameters = _latest(reader, "module", since=since)
    groups = (
        f"SELECT {', '.join(by)}, count() AS installs, countIf(upgrading) AS still FROM ({sql}) "  # noqa: S608
        f"GROUP BY {', '.join(by)}"
    )
    found = reader.query(
        "SELECT module, sumIf(installs, hit) AS hits, sumIf(installs, NOT hit) AS others, "  # noqa: S608
        "sumIf(still, hit) AS hits_upgrading, sumIf(still, NOT hit) AS others_upgrading, "
        "sumIf(installs, large AND hit) AS met, sumIf(installs, NOT large) AS folded, "
        "sumIf(installs, NOT large AND hit) AS folded_met, minIf((installs, value, hit), large) AS smallest "
        f"FROM (SELECT *, installs >= {{k:UInt64}} AND NOT has(value, '{OTHER}') AS large "
        f"FROM ({reader.added_up(groups, by, columns)})) GROUP BY module",
        {**parameters, "k": reader.terms.k},
    )
    named = reader.keys("module", filters={})
    values = {}
    for module, *counts, met, folded, folded_met, (installs, _, meets) in found:
        if 0 < folded < reader.terms.k:  # then the smallest row is folded, too
            met, folded, folded_met = met - installs * meets, folded + installs, folded_met + installs * meets
        one = Values(Counts(*counts), met, folded, folded_met)
        if module in named and one.of >= reader.terms.k:
            values[module] = one
    return values


def _by_version(reader: Reader) -> dict[str, Counts]:
    sql, parameters = _latest(reader)
    counts = (
        "SELECT version, countIf(hit) AS hits, countIf(NOT hit) AS others, "  # noqa: S608
        "countIf(hit AND upgrading) AS hits_upgrading, "
        f"countIf(NOT hit AND upgrading) AS others_upgrading FROM ({sql}) GROUP BY version"
    )
    columns = ("hits", "others", "hits_upgrading", "others_upgrading")
    found = reader.query(reader.added_up(counts, ("version",), columns), parameters)
    return {version: Counts(*counts) for version, *counts in found}


def _by_feature(reader: Reader) -> dict[str, tuple[int, int]]:
    """Return how many installs of those that meet the condition, and of the others, used each feature in the span."""
    question = reader.question
    latest, parameters = _latest(reader)
    chosen = reader.values(question.installs()).chosen()
    used = month_bits.span("used", question.start, question.end)
    # The statement begins with the months that tell who still upgrades.
    counts = (
        "SELECT feature, uniqExactIf(install, hit) AS hits, uniqExactIf(install, NOT hit) AS others FROM ("  # noqa: S608
        "SELECT feature, install FROM features_by_month "
        f"WHERE module = {{of_module:String}} AND {used} != 0{chosen} "
        f"AND month BETWEEN '{question.start.replace(day=1)}'::Date AND {{last_month:Date}}) AS uses "
        f"INNER JOIN ({latest}) AS installs USING (install) GROUP BY feature"
    )
    found = reader.query(
        reader.added_up(counts, ("feature",), ("hits", "others")),
        {**parameters, "of_module": question.filters["module"]},
    )
    return {feature: (hit, others) for feature, hit, others in found}


def _latest(reader: Reader, *by: str, since: date | None = None) -> tuple[str, dict[str, Any]]:
    """Return a SELECT of (by, install, version, value, hit, upgrading), with parameters.

    It has a row for each install that answers. `value` has its value for each dimension of the condition.
    `by` is the module, if the question names none: an install then has a row for each of its modules.

    One GROUP BY of the months that tell whether an install still upgrades, which are those from `since` on. An install
    counts under its latest values, as with `count=latest` of the metrics; it answers if it has one for each dimension
    of the condition.
    """
    question = reader.question
    since = since or _upgrades_from(question.end)
    values = reader.values(question.installs(start=min(since, question.start)))
    in_span, lately = (month_bits.span("days", first, question.end) for first in (question.start, since))
    texts: dict[str, str] = {}  # the latest text that is reported for each dimension
    columns, met = [], []
    for number, (dimension, names) in enumerate(groupby(sorted(question.conditions), dimensions.dimension_of)):
        texts[dimension] = f"text_{number}"
        columns.append(_latest_of(values, dimension, f"text_{number}"))
        met += [values.condition(name, f"text_{number}") for name in names]
    rolled_up = [values.rolled_up(dimension, text) for dimension, text in texts.items()]
    within = ", ".join((*by, "install"))
    module = f" AND {values.condition('module', 'module')}" if question.module else ""
    sql = (
        f"SELECT {within}, latest_version AS version, [{', '.join(rolled_up)}] AS value, "  # noqa: S608
        f"{' AND '.join(met)} AS hit, upgrading FROM ("
        f"SELECT {within}, {', '.join(columns)}, {_latest_of(values, 'version', 'latest_version')}, "
        f"uniqUpToIf(1)(version, {lately} != 0) > 1 AS upgrading "
        f"FROM (SELECT *, {in_span} AS seen FROM installs_by_month WHERE {values.in_span('days')}{module}) "
        f"GROUP BY {within} HAVING max(seen) != 0) WHERE NOT has(value, '')"
    )
    return sql, values.parameters


def _upgrades_from(end: date) -> date:
    return end - timedelta(days=UPGRADE_DAYS - 1)


def _latest_of(values: ReportedValues, dimension: str, name: str) -> str:
    """Return the column of the latest text for a dimension; of those of a day the highest."""
    day = f"toUInt64(toUInt16({month_bits.last_day('seen')}))"
    place = f"bitShiftLeft({day}, {2 * RANK_BITS}) + {values.place(dimension)}"
    return f"argMaxIf({dimensions.source(dimension)}::String, {place}, seen != 0) AS {name}"
