"""The filters of a page, read from its address: `?module=&from=&to=&grain=`."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs

from warehouse.queries import metrics
from warehouse.queries.metrics import QueryError

NAMES = ("module", "from", "to", "grain")
GRAINS = ("day", "week", "month")


@dataclass(frozen=True)
class Filters:
    """The days from `start` to `end`, both included. An empty `module` means all modules."""

    module: str
    start: date
    end: date
    grain: str

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.end - self.start).days + 1

    @property
    def before(self) -> "Filters":
        """The previous period of the same length."""
        return replace(self, start=self.start - timedelta(days=self.days), end=self.start - timedelta(days=1))

    @property
    def beginning(self) -> "Filters":
        """The first week of the period."""
        return replace(self, end=min(self.end, self.start + timedelta(days=6)))

    def args(self, **more: str) -> dict[str, str]:
        """The filters as parameters of the read API."""
        module = {"module": self.module} if self.module else {}
        return {"from": self.start.isoformat(), "to": self.end.isoformat(), **module, **more}


def today() -> date:
    """Today's date in UTC, like all dates in the figures."""
    return datetime.now(UTC).date()


def read(search: str | None, now: date) -> Filters:
    """Read the filters from the query of an address. Other parameters are ignored. Raises `QueryError`."""
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    known: dict[str, str] = {name: value for name, value in given.items() if name in NAMES}
    query = metrics.parse("installs", known, now)
    if query.grain not in GRAINS:
        raise QueryError("bad_format", "grain", f"must be one of {', '.join(GRAINS)}")
    return Filters(query.filters.get("module", ""), query.start, query.end, query.grain)
