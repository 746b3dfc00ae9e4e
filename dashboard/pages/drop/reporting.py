"""The installs that report what the filters are about: the whole of which those hurt are a part."""

from typing import Any

from dashboard.charts.bars import known_rows
from dashboard.data_source import DataSource
from dashboard.filters import Filters, unfiltered
from warehouse.queries.dimensions import dimension_of

MOST_DIMENSIONS = 2  # that the read API groups by


def all_asked(chosen: Filters) -> bool:
    """Whether the installs that report all that the filters are about can be counted; otherwise all active ones are."""
    return len(_dimensions(chosen)) <= MOST_DIMENSIONS


def word(chosen: Filters) -> str:
    """What `by_bucket` counts."""
    return "install" if all_asked(chosen) else "active install"


def args_of(chosen: Filters, **more: str) -> dict[str, str]:
    """The parameters of the metric `installs` that `by_bucket` asks."""
    by = ",".join(_dimensions(chosen)) if all_asked(chosen) else "none"
    return unfiltered(chosen).args(by=by, count="latest", **more)


def by_bucket(data: DataSource, args: dict[str, str]) -> dict[str, int]:
    """The installs of each bucket, whichever order the filters have. Raises `QueryError` and `EngineError`."""
    installs: dict[str, int] = {}
    for row in known_rows(data.ask("installs", args)["rows"]):
        if args["by"] == "none" or all(_keys(row)):
            installs[row["bucket"]] = installs.get(row["bucket"], 0) + row["value"]
    return installs


def _dimensions(chosen: Filters) -> list[str]:
    return sorted(set(map(dimension_of, chosen.conditions)))


def _keys(row: dict[str, Any]) -> list[str]:
    keys: list[str] = row.get("keys") or [row["key"]]
    return keys
