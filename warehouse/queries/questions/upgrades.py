"""`upgrades`: from which version of a module to which one installs went, and after how many days."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from warehouse.at_once import at_once
from warehouse.queries import dimensions, month_bits
from warehouse.queries.bucket_select import BETWEEN
from warehouse.queries.metric_query import one_of
from warehouse.queries.questions.question import EVER, Arguments, Question
from warehouse.queries.questions.reader import Reader
from warehouse.queries.reported_values import ReportedValues
from warehouse.queries.small_groups import OTHER, Bucket, Group, fold

SUMMARY = "Upgrades of a module: from, to, installs, and the median of the days that they ran the version before"
PARAMETERS = ("from", "to", "by")
DEFAULT_DAYS = 90
BY = ("version", "version_series")
# Other paths are folded.
MOST_PATHS = 500


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    arguments.module()
    start, end = arguments.span(DEFAULT_DAYS, last_day)
    options = {"by": one_of(arguments.given, "by", BY, "version")}
    return Question("upgrades", start, end, arguments.filters(), options, EVER)


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    steps = _Steps(reader)
    paths, told_of, _ = at_once(steps.paths, reader.told, reader.covered)
    if not told_of:
        paths = {}
    k = reader.terms.k
    sizes = {path: installs for path, (installs, _) in list(paths.items())[:MOST_PATHS]}
    large = [Group(path, installs, installs) for path, installs in sizes.items() if installs >= k]
    bucket = Bucket("", large, len(paths) - len(large), Group(OTHER, 0, 0))
    merged = Group(OTHER, 0, 0)
    if bucket.others:
        number, alone, together = steps.others([group.key for group in large], bucket.smallest)
        bucket = Bucket("", large, number, Group(OTHER, alone, alone))
        merged = Group(OTHER, together, together)
    told = fold([bucket], k, lambda smallest: dict.fromkeys(smallest, merged)) if paths else []
    rows = []
    for row in told:
        if row.value is not None:
            before, after = (OTHER, OTHER) if row.key == OTHER else row.key.split(BETWEEN)
            median = None if row.key == OTHER else paths[row.key][1]
            rows.append({"from": before, "to": after, "installs": reader.count(row.installs), "median_days": median})
    return reader.answer(rows, reader.coverage(_sums(rows)), suppressed=sum(row.folded for row in told))


def _sums(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the shown numbers of installs, and those of paths that begin or end with the same version, added up.

    An install goes up from a version once, and to a version once.
    """
    added: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for end in ("from", "to"):
            if row[end] != OTHER:
                added[end, row[end]] += row["installs"]
    return [*(row["installs"] for row in rows), *added.values()]


class _Steps:
    """The upgrades of a question, in SQL."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._values: ReportedValues = reader.values(reader.question.installs(start=EVER))

    def paths(self) -> dict[str, tuple[int, int]]:
        """Return installs and median of days by path, the most frequent paths first."""
        # A median of medians is no median: each shard counts the installs by number of days.
        steps = f"SELECT path, days, count() AS steps FROM ({self._sql()}) GROUP BY path, days"  # noqa: S608
        found = self._reader.query(
            f"SELECT path, sum(steps) AS installs, quantileExactWeighted(0.5)(days, steps) "  # noqa: S608
            f"FROM ({self._reader.of_each_shard(steps)}) "
            f"GROUP BY path ORDER BY installs DESC, path LIMIT {MOST_PATHS + 1}",
            self._values.parameters,
        )
        return {path: (installs, int(days)) for path, installs, days in found}

    def others(self, large: list[str], smallest: Group | None) -> tuple[int, int, int]:
        """Return the number of other paths, their installs, and these with those of the smallest large path."""
        added = smallest.key if smallest else ""
        sql, values = self._sql(), self._values
        kept = values.none_of("path", "String", [path for path in large if path != added])
        alone = values.none_of("path", "String", [added])
        # Shards share paths, but no install.
        counts = (
            f"SELECT uniqExactIfState(path, {alone}) AS paths, uniqExactIf(install, {alone}) AS alone, "  # noqa: S608
            f"uniqExact(install) AS together FROM ({sql}) WHERE {kept}"
        )
        (row,) = self._reader.query(
            "SELECT uniqExactIfMerge(paths), sum(alone), sum(together) "  # noqa: S608
            f"FROM ({self._reader.of_each_shard(counts)})",
            values.parameters,
        )
        return row[0], row[1], row[2]

    def _sql(self) -> str:
        """Return a SELECT of (install, path, days), a row for each upgrade.

        One GROUP BY finds the first day of each version on an install. Versions that begin on the same day are in
        their order. A step to a lower version is no upgrade.
        """
        question, values = self._reader.question, self._values
        by = question.options["by"]
        until = month_bits.until("days", question.end)
        met = " AND ".join(
            [
                f"{month_bits.span('days', question.start, question.end)} != 0",
                *(
                    values.condition(name, dimensions.source(dimensions.dimension_of(name)))
                    for name in question.conditions
                ),
            ]
        )
        began = (
            f"SELECT install, {values.rolled_up(by, 'version::String')} AS value, "  # noqa: S608
            f"{values.rolled_up_rank(by)} AS place, "
            f"min({month_bits.first_day(until)}) AS began, max({met}) AS met FROM installs_by_month "
            f"WHERE month <= {{last_month:Date}} AND {until} != 0{values.chosen()} "
            f"AND {values.condition('module', 'module')} "
            "GROUP BY install, value, place"
        )
        steps = (
            "SELECT install, arraySort(groupArray((began, place, value))) AS seen FROM "  # noqa: S608
            f"({began}) GROUP BY install HAVING max(met) AND length(seen) > 1"
        )
        return (
            f"SELECT install, concat(step.1.3, '{BETWEEN}', step.2.3) AS path, step.2.1 - step.1.1 AS days FROM "  # noqa: S608
            f"(SELECT install, arrayJoin(arrayZip(arrayPopBack(seen), arrayPopFront(seen))) AS step FROM ({steps})) "
            f"WHERE step.2.1 BETWEEN '{question.start}'::Date AND '{question.end}'::Date AND step.2.2 > step.1.2"
        )
