"""The tables behind the charts: the same figures as the chart draws, as numbers and ISO dates. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from dashboard.charts.series import Line

Unit = Literal["points", "number"]


@dataclass(frozen=True)
class ShownTable:
    """The figures that a card shows, as a table: texts, numbers, ISO dates, and None for a figure that is hidden.

    `calls` are the paths of the read API that answer with these figures. Numbers with decimals are shares, except in
    the columns of `units`: there they are differences of shares (`points`) or plain numbers (`number`). They are not
    rounded: the browser does so for the table and the file, and a report as the page does.

    `hidden` has the words that a column shows in place of a figure that is hidden. Other columns show a dash.
    """

    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str | float | None]] = ()
    calls: Sequence[str] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)


def table_of_line(
    unit: str, line: Line, calls: Sequence[str], *others: tuple[str, Sequence[str | float | None]]
) -> ShownTable:
    """The table of a chart over time: a row for each bucket, by its first moment, and what is special about it.

    `others` are more columns, each with its title and the values of the first buckets.
    """
    rows = [
        (
            bucket.isoformat(),
            line.values[number],
            *(values[number] if number < len(values) else None for _, values in others),
            _remark(line, number),
        )
        for number, bucket in enumerate(line.buckets)
    ]
    return ShownTable(("Date", unit, *(title for title, _ in others), "Remark"), rows, calls)


def table_by_date(
    columns: Mapping[str, Sequence[float | None]], dates: Sequence[date], calls: Sequence[str]
) -> ShownTable:
    """The table of shares by week: a row for each, by its first day, and a column for each share."""
    return _table("Week", [moment.isoformat() for moment in dates], columns, calls)


def table_by_age(columns: Mapping[str, Sequence[float | None]], calls: Sequence[str]) -> ShownTable:
    """The table of shares by days since a release."""
    return _table("Day", range(max(map(len, columns.values()), default=0)), columns, calls)


def _table(
    first: str, heads: Sequence[str | float], columns: Mapping[str, Sequence[float | None]], calls: Sequence[str]
) -> ShownTable:
    rows = [
        (head, *(values[number] if number < len(values) else None for values in columns.values()))
        for number, head in enumerate(heads)
    ]
    return ShownTable((first, *columns), rows, calls)


def _remark(line: Line, number: int) -> str:
    if line.silent[number]:
        return "no beacons of any module"
    if line.small[number]:
        return "too few or none"
    return "incomplete" if line.incomplete[number] else ""
