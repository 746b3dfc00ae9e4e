"""The filters of a page, as its address holds them: `?module=&from=&to=&grain=`."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs

from warehouse.queries import metrics
from warehouse.queries.metrics import QueryError

NAMES = ("module", "from", "to", "grain")
GRAINS = ("day", "week", "month")


@dataclass(frozen=True)
class Filters:
    """The days `start` to `end`, both included; `module` "" is all of them."""

    module: str
    start: date
    end: date
    grain: str

    @property
    def days(self) -> int:
        """How many days are asked for."""
        return (self.end - self.start).days + 1

    @property
    def before(self) -> "Filters":
        """The period of equal length just before."""
        return replace(self, start=self.start - timedelta(days=self.days), end=self.start - timedelta(days=1))

    @property
    def beginning(self) -> "Filters":
        """The first days of the period: whether there were beacons then already."""
        return replace(self, end=min(self.end, self.start + timedelta(days=6)))

    def args(self, **more: str) -> dict[str, str]:
        """The query string of the read API, as a mapping."""
        module = {"module": self.module} if self.module else {}
        return {"from": self.start.isoformat(), "to": self.end.isoformat(), **module, **more}


def today() -> date:
    """The day it is, in UTC, as everywhere in the figures."""
    return datetime.now(UTC).date()


def read(search: str | None, now: date) -> Filters:
    """The filters of an address' query; what it does not name is ignored. Raises `QueryError`."""
    given = {name: values[-1] for name, values in parse_qs((search or "").removeprefix("?")).items()}
    known: dict[str, str] = {name: value for name, value in given.items() if name in NAMES}
    query = metrics.parse("installs", known, now)
    if query.grain not in GRAINS:
        raise QueryError("bad_format", "grain", f"must be one of {', '.join(GRAINS)}")
    return Filters(query.filters.get("module", ""), query.start, query.end, query.grain)
