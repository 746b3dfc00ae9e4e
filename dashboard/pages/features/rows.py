"""The rows of the features table: read, sorted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import filters
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.filters import Filters
from warehouse.queries.small_groups import OTHER

Row = dict[str, Any]

FEW = "too few"
RARE = 0.05  # a feature with an adoption under this is marked as rarely used
SORTED = {
    "feature": lambda row: (row["title"] or row["feature"]).lower(),
    "adoption": lambda row: row["adoption"],
    "installs": lambda row: row["installs"],
    "uses": lambda row: row["uses"],
}  # fmt: skip
LARGEST_FIRST = [{"colId": "adoption", "sort": "desc"}]


@dataclass(frozen=True)
class FeatureRows:
    """All rows of the table by adoption, largest first; `folded` is the row of `(other)`, or empty."""

    features: list[Row]
    folded: list[Row]


def read(data: DataSource, chosen: Filters) -> FeatureRows:
    """The rows of a range. Raises `QueryError` and `EngineError`."""
    total = data.total(chosen.args())
    if not total:
        return FeatureRows([], [])
    installs = data.ask("feature_installs", chosen.args(by="feature", grain="period"))["rows"]
    counted = data.ask("feature_uses", chosen.args(by="feature", grain="period"))["rows"]
    uses = {row["key"]: row["value"] for row in counted}
    catalog, today = data.catalog(), filters.today()
    found = FeatureRows([], [])
    for row in installs:
        key, value = row["key"], row["value"]
        if not key:
            continue  # the row of a bucket that has no groups
        if key == OTHER:
            found.folded.append(_row(key, "", key, value, uses.get(key), total, ""))
            continue
        name = display_name(catalog, "feature", key, today)
        rare = "Rarely used" if value is not None and value / total < RARE else ""
        found.features.append(_row(key, name.title, name.about, value, uses.get(key), total, name.mark or rare))
    return found


def ordered(rows: Sequence[Row], sort_model: Sequence[Mapping[str, str]]) -> list[Row]:
    """The rows in the order of the grid's sort model. Rows without a figure come last in either direction."""
    found = list(rows)
    for column in reversed(sort_model or LARGEST_FIRST):
        key: Callable[[Row], Any] | None = SORTED.get(column["colId"])
        if key is None:
            continue
        known = [row for row in found if key(row) != FEW]
        known.sort(key=key, reverse=column["sort"] == "desc")
        found = known + [row for row in found if key(row) == FEW]
    return found


def _row(feature: str, title: str, about: str, installs: int | None, uses: int | None, total: int, hint: str) -> Row:
    return {
        "feature": feature,
        "title": title,
        "about": about,
        "adoption": FEW if installs is None else installs / total,
        "installs": FEW if installs is None else installs,
        "uses": FEW if uses is None else uses,
        "hint": hint,
    }
