"""What may be asked of the read API: `parse` turns a query string into a `MetricQuery`. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from warehouse.queries import dimensions
from warehouse.queries.dimensions import LICENSE_DIMENSIONS, QueryError, dimension_of

METRICS = ("installs", "feature_installs", "feature_uses")
GRAINS = ("day", "week", "month", "period")
COUNTS = ("reported", "latest")
DEFAULT_DAYS = 30
MOST_DAYS = 3660


@dataclass(frozen=True)
class MetricQuery:
    """What is asked for: a metric over the days `start` to `end`, both included.

    `by` is a dimension, two with a comma between, or None for no grouping. A filter's name is a dimension, or one with
    a comparison, such as `php_series.lt`.
    """

    metric: str
    start: date
    end: date
    grain: str
    by: str | None
    filters: dict[str, str]
    count: str = "reported"
    divisor: int = 1  # one install in so many answers (`warehouse/queries/sampling.py`)
    side_by_side: tuple[str, ...] = ()  # dimensions that others ask for (`warehouse/queries/side_by_side.py`)
    established: bool = False  # only installs count whose beacons were received on at least two days
    among: tuple[str, ...] = ()  # values of the dimension that count; all of them if there are none here

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The dimensions of `by`."""
        return tuple(self.by.split(",")) if self.by else ()

    @property
    def of_features(self) -> bool:
        """Whether the table of features answers. That of installs knows on which days any feature was used."""
        return self.metric == "feature_uses" or "feature" in (*self.dimensions, *self.filters)

    @property
    def of_license_plane(self) -> bool:
        """Whether the license plane answers."""
        return "license_source" in (*self.dimensions, *self.filters)


def parse(metric: str, args: Mapping[str, str], today: date) -> MetricQuery:
    """Read a query string; empty values count as not given. Raises `QueryError`."""
    given = {name: value for name, value in args.items() if value != ""}
    for name in args:
        if name not in ("from", "to", "grain", "by", "count") and dimension_of(name) not in dimensions.ALL:
            raise QueryError("unknown_field", printable(name), "is no parameter of this query")
    end = read_date(given, "to") or today
    start = read_date(given, "from") or end - timedelta(days=DEFAULT_DAYS - 1)
    if start > end:
        raise QueryError("out_of_range", "from", "must not be after to")
    if (end - start).days >= MOST_DAYS:
        raise QueryError("out_of_range", "from", f"must be within {MOST_DAYS} days of to")
    grain, count = one_of(given, "grain", GRAINS, "day"), one_of(given, "count", COUNTS, "reported")
    by = given.get("by", "none" if metric == "installs" else "feature")
    asked = () if by == "none" else tuple(by.split(","))
    if any(name not in dimensions.ALL for name in asked):
        raise QueryError("bad_format", "by", f"must be none or one or two of {', '.join(dimensions.ALL)}")
    if len(asked) > 2 or len(set(asked)) < len(asked):
        raise QueryError("out_of_range", "by", "must be at most two different dimensions")
    filters = {name: value for name, value in given.items() if dimension_of(name) in dimensions.ALL}
    for name, value in filters.items():
        dimensions.parse_filter(name, value)
    query = MetricQuery(metric, start, end, grain, by if asked else None, filters, count)
    _check_count(query)
    _check_planes(query)
    return query


def one_of(given: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    """Return a parameter that is one of the choices. Raises `QueryError`."""
    value = given.get(name, default)
    if value not in choices:
        named = [choice for choice in choices if choice]
        said = f"one of {', '.join(named)}" if len(named) > 1 else named[0]
        raise QueryError("bad_format", name, f"must be {said}{', or empty' if '' in choices else ''}")
    return value


def _check_count(query: MetricQuery) -> None:
    if query.count == "reported":
        return
    if query.metric != "installs" or "feature" in (*query.dimensions, *query.filters):
        raise QueryError(
            "out_of_range", "count",
            "an install uses several features, and its latest report names those used since the one before; "
            "features are counted over all reports",
        )  # fmt: skip


def _check_planes(query: MetricQuery) -> None:
    if not query.of_license_plane:
        return
    if query.metric != "installs":
        raise QueryError(
            "out_of_range", "license_source",
            "license_source is held in the license plane, features in the usage plane; no key joins the two",
        )  # fmt: skip
    for name in [*query.dimensions, *query.filters]:
        if dimension_of(name) not in LICENSE_DIMENSIONS:
            raise QueryError(
                "out_of_range", name,
                f"{name} is held in the usage plane, license_source in the license plane; no key joins the two",
            )  # fmt: skip


def read_date(args: Mapping[str, str], name: str) -> date | None:
    """Return a parameter that is a date, None if it is not given. Raises `QueryError`."""
    text = args.get(name)
    if text is None:
        return None
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise QueryError("bad_format", name, "must be a date, YYYY-MM-DD") from None
    if not 1971 <= day.year <= 2148:
        raise QueryError("out_of_range", name, "must be between 1971 and 2148")
    return day


def printable(name: str) -> str:
    """Return the name of a parameter if an answer may repeat it."""
    return name if re.fullmatch(r"[A-Za-z_.]{1,32}", name) else "query"
