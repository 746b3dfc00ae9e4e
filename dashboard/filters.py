"""The filters of a page, read from its address: `?module=&range=&grain=&compare=`, and a filter of the read API each.

A range is relative (`range=28d`), and then ends yesterday, or with `today=yes` today; or it is `from` and `to`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs

from dashboard.formatting import day
from warehouse.queries import dimensions, metrics
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.metric_query import one_of
from warehouse.queries.metrics import QueryError

GRAINS = ("day", "week", "month")
RANGES = {
    "7d": "Last 7 days",
    "28d": "Last 28 days",
    "90d": "Last 90 days",
    "12m": "Last 12 months",
    "quarter": "This quarter",
}
DEFAULT_RANGE = "28d"
COMPARISONS = {"previous": "Previous period", "year": "Same period last year", "off": "No comparison"}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Filters:
    """The days from `start` to `end`, both included. An empty `module` means all modules.

    `conditions` are the other filters, with the names and values of the read API. `range` is empty for fixed days.
    """

    module: str
    start: date
    end: date
    grain: str
    conditions: Mapping[str, str] = field(default_factory=dict)
    compare: str = "previous"
    range: str = ""

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.end - self.start).days + 1

    @property
    def counts_once(self) -> bool:
        """Whether an install counts once, under its latest value: not with a filter by feature (`args`)."""
        return "feature" not in self.conditions

    @property
    def before(self) -> "Filters":
        """The period of the same length right before; for less than a week, the same weekdays of the week before."""
        back = timedelta(days=max(self.days, 7))
        return replace(self, start=self.start - back, end=self.end - back)

    @property
    def beginning(self) -> "Filters":
        """The first week of the period."""
        return replace(self, end=min(self.end, self.start + timedelta(days=6)))

    def compared(self, now: date) -> "tuple[Filters, Filters] | None":
        """The complete days of this period, and the period of as many days to compare them with.

        None without a comparison, or if no day of the period is over.
        """
        complete = replace(self, end=min(self.end, now - DAY))
        if self.compare == "off" or complete.end < complete.start:
            return None
        if self.compare == "previous":
            return complete, complete.before
        start = _a_year_before(complete.start)
        return complete, replace(complete, start=start, end=start + timedelta(days=complete.days - 1))

    def args(self, **more: str) -> dict[str, str]:
        """The filters as parameters of the read API.

        The users of a feature are counted over all reports (`count=latest` is not answered for them).
        """
        module = {"module": self.module} if self.module else {}
        if not self.counts_once:
            more.pop("count", None)
        return {"from": self.start.isoformat(), "to": self.end.isoformat(), **module, **self.conditions, **more}

    def base(self, **more: str) -> dict[str, str]:
        """The parameters of the installs that the users of a feature are a share of.

        Both are counted over all reports. Without conditions the parameters are those of `args`.
        """
        return self.args(**more, **({"count": "reported"} if self.conditions else {}))


def before_in_words(before: Filters) -> str:
    """A period of comparison in words: `the 28 days before`, `the same days last year`."""
    if before.days == 1:
        return day(before.end)
    if before.compare == "year":
        return "the same days last year"
    return "the same days of the week before" if before.days < 7 else f"the {before.days} days before"


def unfiltered(chosen: Filters) -> Filters:
    """The same days and module, without the conditions."""
    return replace(chosen, conditions={})


def without(chosen: Filters, names: Collection[str]) -> tuple[Filters, dict[str, str]]:
    """The filters without the conditions on some dimensions, and those conditions."""
    left = {name: value for name, value in chosen.conditions.items() if dimension_of(name) in names}
    kept = {name: value for name, value in chosen.conditions.items() if name not in left}
    return replace(chosen, conditions=kept), left


def today() -> date:
    """Today's date in UTC, like all dates in the figures."""
    return datetime.now(UTC).date()


def read(search: str | None, now: date, first: date | None = None) -> Filters:
    """Read the filters from the query of an address. Raises `QueryError`.

    Names that are neither ours nor a filter's are left to the page. `first` is the day of the first beacon ever: if it
    is today, no day is over, and relative ranges end today.
    """
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    conditions = {name: value for name, value in given.items() if dimension_of(name) in dimensions.ALL}
    days: dict[str, str] = {name: given[name] for name in ("from", "to") if name in given}
    relative = "" if days else one_of(given, "range", tuple(RANGES), DEFAULT_RANGE)
    with_today = one_of(given, "today", ("yes", ""), "") == "yes" or first == now
    for name in {"range", "today"} & given.keys() if days else ():
        raise QueryError("out_of_range", name, "must not be given beside from or to")
    if relative:
        start, end = span(relative, now, with_today=with_today)
        days = {"from": start.isoformat(), "to": end.isoformat()}
    query = metrics.parse("installs", {**conditions, **days}, now)
    return Filters(
        query.filters.pop("module", ""),
        query.start,
        query.end,
        one_of(given, "grain", GRAINS, "day"),
        query.filters,
        one_of(given, "compare", tuple(COMPARISONS), "previous"),
        relative,
    )


def span(relative: str, now: date, *, with_today: bool) -> tuple[date, date]:
    """The first and the last day of a relative range. `assets/filters.js` does the same for the date picker."""
    end = now if with_today else now - DAY
    if relative == "quarter":
        start = now.replace(month=now.month - (now.month - 1) % 3, day=1)
        return start, max(start, end)
    if relative == "12m":
        return _a_year_before(end) + DAY, end
    return end - timedelta(days=int(relative.removesuffix("d")) - 1), end


def _a_year_before(day: date) -> date:
    """The same day of the year before, 28 February for 29 February."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)
