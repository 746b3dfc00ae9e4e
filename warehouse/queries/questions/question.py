"""What the questions of the read API have in common: their parameters, and how these are read. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from warehouse.queries import dimensions
from warehouse.queries.dimensions import QueryError, dimension_of
from warehouse.queries.metric_query import MOST_DAYS, MetricQuery, printable, read_date

# The first day that a query may ask for.
EVER = date(1971, 1, 1)


@dataclass(frozen=True)
class Question:
    """What is asked: about the days `start` to `end`, of the installs that meet `filters`.

    `options` holds the parameters of this question alone. `reads_from` is the first day that must be read to answer it.
    """

    name: str
    start: date
    end: date
    filters: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    reads_from: date | None = None

    @property
    def module(self) -> dict[str, str]:
        """The filter that selects reports: of one module, or of all."""
        return {name: value for name, value in self.filters.items() if name == "module"}

    @property
    def conditions(self) -> dict[str, str]:
        """The other filters, on what installs report."""
        return {name: value for name, value in self.filters.items() if name != "module"}

    def installs(self, **changes: Any) -> MetricQuery:
        """The metric `installs` for the same days and filters."""
        given = {"start": self.start, "end": self.end, "grain": "period", "filters": self.filters, **changes}
        return MetricQuery("installs", by=None, **given)


class Arguments:
    """The parameters of a query string; empty ones count as not given. Each method raises `QueryError`."""

    def __init__(self, args: Mapping[str, str], own: Sequence[str]) -> None:
        """`own` has the names of the parameters that the question takes beside filters."""
        self.given = {name: value for name, value in args.items() if value != ""}
        self._own = own
        for name in self.given:
            if name not in own and dimension_of(name) not in dimensions.ALL:
                raise QueryError("unknown_field", printable(name), "is no parameter of this query")

    def filters(self) -> dict[str, str]:
        """Return the filters."""
        found = {name: value for name, value in self.given.items() if name not in self._own}
        for name, value in found.items():
            dimensions.parse_filter(name, value)
            if dimension_of(name) == "license_source":
                raise QueryError(
                    "out_of_range", name,
                    "license_source is held in the license plane, and this question asks the usage plane; "
                    "no key joins the two",
                )  # fmt: skip
            if dimension_of(name) == "feature":
                raise QueryError("out_of_range", name, "this question takes no feature")
        return found

    def feature(self) -> str | None:
        """Return the parameter `feature`."""
        if "feature" in self.given:
            dimensions.parse_filter("feature", self.given["feature"])
        return self.given.get("feature")

    def module(self) -> str:
        """Return the filter `module`, which must be given."""
        if "module" not in self.given:
            raise QueryError("missing_field", "module", "must be given: versions are those of one module")
        return self.given["module"]

    def span(self, days: int, last_day: date) -> tuple[date, date]:
        """Return the first and the last day that count. `last_day` is the last one that may."""
        end = min(read_date(self.given, "to") or last_day, last_day)
        start = read_date(self.given, "from") or end - timedelta(days=days - 1)
        if start > end:
            detail = "must not be after to" if end < last_day else f"must not be after {last_day}, the last day counted"
            raise QueryError("out_of_range", "from", detail)
        if (end - start).days >= MOST_DAYS:
            raise QueryError("out_of_range", "from", f"must be within {MOST_DAYS} days of to")
        return start, end
