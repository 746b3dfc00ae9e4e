"""The rows of the features table: each feature of each module, as a share of the module's installs. Read, sorted."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

from core.catalog import Catalog
from dashboard import filters
from dashboard.charts.series import first
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.filters import Filters
from dashboard.links import link
from dashboard.question_limit import ask_in_free_turns
from dashboard.significance import may_be_chance
from warehouse.queries.small_groups import OTHER

Row = dict[str, Any]
Pair = tuple[str, str]  # a module and a feature

FEW, RARELY = "too few", "Rarely used"
UNSEEN = "Never used, or too few"  # a declared feature without figures
RARE = 0.05  # a feature of a smaller share than this is marked as rarely used, if the range is not shorter than
RARE_DAYS = 28  # these days: few use a feature on one day
WEEKS, MONTHS = 12, 12  # of the sparkline, and of the search for the first month
SORTED = {
    "module": lambda row: row["module"],
    "feature": lambda row: (row["title"] or row["feature"]).lower(),
    "adoption": lambda row: row["adoption"],
    "change": lambda row: row["change"],
    "installs": lambda row: row["installs"],
    "uses": lambda row: row["uses"],
    "per_install": lambda row: row["per_install"],
    "first_seen": lambda row: row["first_seen"],
}  # fmt: skip
BY_MODULE = [{"colId": "module", "sort": "asc"}, {"colId": "adoption", "sort": "desc"}]


@dataclass(frozen=True)
class FeatureRows:
    """All rows of the table, by module and then the largest share; `folded` is the row of `(other)`, or empty."""

    features: list[Row]
    folded: list[Row]


def read(data: DataSource, chosen: Filters, search: str | None = None, *, history: bool = True) -> FeatureRows:
    """The rows of a range. `search` is the address that the links keep. Raises `QueryError` and `EngineError`.

    Without `history` the rows have neither the trend nor the first month, which ask as much as all else.
    """
    installs, modules, uses, changes = ask_in_free_turns(
        lambda: pairs(data, "feature_installs", chosen),
        lambda: base_by_module(data, chosen),
        lambda: pairs(data, "feature_uses", chosen),
        lambda: _changes(data, chosen),
    )
    past = histories(data, chosen) if history else {}
    catalog, today = data.catalog(), filters.today()
    found = FeatureRows([], [])
    for pair, number in installs.items():
        module, feature = pair
        used = uses.get(pair)
        figures: dict[str, Any] = {
            "installs": FEW if number is None else number,
            "uses": FEW if used is None else used,
            "per_install": FEW if used is None or not number else used / number,
        }
        if feature == OTHER:
            # Features of several modules have no share.
            found.folded.append(_row("", OTHER, "", OTHER, "", figures | {"adoption": "", "change": ""}))
            continue
        name = display_name(catalog, "feature", feature, today)
        adoption = share_of(number, modules.get(module))
        rare = RARELY if adoption is not None and adoption < RARE and chosen.days >= RARE_DAYS else ""
        figures |= {
            "adoption": FEW if adoption is None else adoption,
            **changes.get(pair, {}),
            **past.get(row_id(*pair), {}),
            "module_about": display_name(catalog, "module", module, today).about,
            "href": link("/feature", search, {"name": feature, "module": module}),
        }
        found.features.append(_row(module, feature, name.title, name.about, name.mark or rare, figures))
    for module, feature in _unseen(data, chosen, catalog, installs.keys()):
        name = display_name(catalog, "feature", feature, today)
        found.features.append(_row(module, feature, name.title, name.about, name.mark or UNSEEN, {}))
    return FeatureRows(ordered(found.features, BY_MODULE), found.folded)


def _unseen(data: DataSource, chosen: Filters, catalog: Catalog, seen: Collection[Pair]) -> list[Pair]:
    """The declared features without figures, of the chosen module or of all. Under conditions there are none.

    Where the catalog names no module, a feature with figures is of the modules that have them. One without is of any:
    its module is empty.
    """
    if chosen.conditions:
        return []
    declared = [(entry.module, name) for (kind, name), entry in catalog.entries.items() if kind == "feature"]
    named = [pair for pair in declared if pair[0] and pair not in seen and chosen.module in ("", pair[0])]
    known = {feature for _, feature in seen}
    of_any = [pair for pair in declared if not pair[0] and pair[1] not in known]
    if of_any and chosen.module:
        everywhere = {feature for _, feature in pairs(data, "feature_installs", replace(chosen, module=""))}
        of_any = [pair for pair in of_any if pair[1] not in everywhere]
    return [*named, *of_any]


def histories(data: DataSource, chosen: Filters) -> dict[str, Row]:
    """The share by week and the first month of each feature, by the id of its row."""
    weekly, months = ask_in_free_turns(
        lambda: _by_bucket(data, chosen, "week", WEEKS), lambda: _by_bucket(data, chosen, "month", MONTHS)
    )
    return {
        row_id(*pair): {
            "trend": [share_of(*week) for week in weekly.get(pair, [])],
            "first_seen": _first_month(months.get(pair, []), chosen.end),
        }
        for pair in weekly.keys() | months.keys()
    }


def row_id(module: str, feature: str) -> str:
    """What tells the row of a feature from the others."""
    return f"{module}/{feature}"


def pairs(data: DataSource, metric: str, chosen: Filters) -> dict[Pair, int | None]:
    """A metric by module and feature. `(other)` has both keys."""
    rows = data.ask(metric, chosen.args(by="module,feature", grain="period"))["rows"]
    return {(row["keys"][0], row["keys"][1]): row["value"] for row in rows if len(row["keys"]) == 2}


def base_by_module(data: DataSource, chosen: Filters) -> dict[str, int | None]:
    """The installs of each module that the users of its features are a share of."""
    rows = data.ask("installs", chosen.base(by="module", grain="period"))["rows"]
    return {row["key"]: row["value"] for row in rows}


def share_of(part: int | None, of: int | None) -> float | None:
    """A share, at most 1; None if either is not known.

    The part may be above the whole where both are estimates from different samples, or of a day that is not over:
    figures of such a day change in steps, each at its own time.
    """
    return None if part is None or not of else min(part / of, 1)


def _changes(data: DataSource, chosen: Filters) -> dict[Pair, Row]:
    """The difference of each share from the period of comparison, of complete days, and whether it may be chance."""
    compared = data.compared(chosen)
    if compared is None:
        return {}
    now, before = ask_in_free_turns(*(partial(_parts, data, period) for period in compared))
    return {
        pair: {
            "change": used / of - before[pair][0] / before[pair][1],
            "chance": may_be_chance(used, of, before[pair][0], before[pair][1], data.rounding),
        }
        for pair, (used, of) in now.items()
        if pair in before
    }


def _parts(data: DataSource, chosen: Filters) -> dict[Pair, tuple[int, int]]:
    """The users of each feature, and the installs of its module, where both are known."""
    modules = base_by_module(data, chosen)
    users = pairs(data, "feature_installs", chosen)
    return {
        pair: (min(number, of), of)
        for pair, number in users.items()
        if number is not None and (of := modules.get(pair[0]))
    }


def _by_bucket(
    data: DataSource, chosen: Filters, grain: str, number: int
) -> dict[Pair, list[tuple[int | None, int | None]]]:
    """The users of each feature and the installs of its module, in each of the last buckets that are over."""
    end = first(min(chosen.end, filters.today() - timedelta(days=1)) + timedelta(days=1), grain)
    start = end
    for _ in range(number):
        start = first(start - timedelta(days=1), grain)
    span = {"from": start.isoformat(), "to": (end - timedelta(days=1)).isoformat(), "grain": grain}
    of: dict[tuple[str, str], int | None] = {}
    for row in data.ask("installs", chosen.base(by="module") | span)["rows"]:
        of[row["bucket"], row["key"]] = row["value"]
    buckets = sorted({bucket for bucket, _ in of})
    used: dict[Pair, dict[str, int | None]] = {}
    for row in data.ask("feature_installs", chosen.args(by="module,feature") | span)["rows"]:
        if len(row["keys"]) == 2:
            used.setdefault((row["keys"][0], row["keys"][1]), {})[row["bucket"]] = row["value"]
    return {
        pair: [(values.get(bucket), of.get((bucket, pair[0]))) for bucket in buckets] for pair, values in used.items()
    }


def _first_month(months: Sequence[tuple[int | None, int | None]], end: date) -> str:
    """The first month in which it was used, `2026-03`; "earlier" if nothing is known of the months before."""
    number = next((number for number, (used, _) in enumerate(months) if used is not None), None)
    if number is None:
        return ""
    if not any(of for _, of in months[:number]):
        return "earlier"  # the data begin with it
    back = len(months) - number
    month = first(end + timedelta(days=1), "month")
    for _ in range(back):
        month = first(month - timedelta(days=1), "month")
    return f"{month:%Y-%m}"


def ordered(rows: Sequence[Row], sort_model: Sequence[Mapping[str, str]]) -> list[Row]:
    """The rows in the order of the grid's sort model. Rows without a figure come last in either direction."""
    found = list(rows)
    for column in reversed(sort_model or BY_MODULE):
        key: Callable[[Row], Any] | None = SORTED.get(column["colId"])
        if key is None:
            continue
        known = [row for row in found if key(row) not in (FEW, "")]
        known.sort(key=key, reverse=column["sort"] == "desc")
        found = known + [row for row in found if key(row) in (FEW, "")]
    return found


def _row(module: str, feature: str, title: str, about: str, hint: str, figures: Mapping[str, Any]) -> Row:
    return {
        "id": row_id(module, feature),
        "module": module,
        "module_about": module,
        "feature": feature,
        "title": title,
        "about": about,
        "adoption": FEW,
        "change": FEW,
        "chance": False,
        "trend": [],
        "installs": FEW,
        "uses": FEW,
        "per_install": FEW,
        "first_seen": "",
        "href": "",
        "hint": hint,
        **figures,
    }
