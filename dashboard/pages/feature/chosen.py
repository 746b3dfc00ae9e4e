"""Which feature the page shows, and of which module. The address has both: `name=bulk_email&module=bulk_mailer`."""

from dataclasses import dataclass, replace

from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.links import parameter
from warehouse.queries import dimensions
from warehouse.queries.small_groups import OTHER


@dataclass(frozen=True)
class Shown:
    """A feature, and the filters with its module."""

    feature: str
    chosen: Filters
    others: tuple[str, ...] = ()  # modules that have it, too, if the address names none


def used_by(data: DataSource, shown: Shown) -> int | None:
    """The installs that used the feature in the range; None if not told. Raises `QueryError` and `EngineError`."""
    args = shown.chosen.args(feature=shown.feature, grain="period", by="none")
    rows = data.ask("feature_installs", args)["rows"]
    return rows[0]["value"] if rows else None


def read(data: DataSource, search: str) -> Shown | None:
    """The feature of the address; None without one. Without a module it is that of most of the feature's installs.

    Raises `QueryError` and `EngineError`.
    """
    chosen, feature = data.chosen(search), parameter(search, "name")
    if not feature:
        return None
    dimensions.parse_filter("feature", feature)
    others: list[str] = []
    if not chosen.module:
        rows = known_rows(
            data.ask("feature_installs", chosen.args(by="module", feature=feature, grain="period"))["rows"]
        )
        first, *others = [str(row["key"]) for row in rows if row["key"] and row["key"] != OTHER] or [""]
        chosen = replace(chosen, module=first)
    return Shown(feature, chosen, tuple(others))
