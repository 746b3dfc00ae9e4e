"""Reads what changed since the period of comparison: features, versions and platforms."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from dashboard.answer_rows import known_rows
from dashboard.changes import Change, Users, changed_above_all, compared
from dashboard.conditions import among
from dashboard.data_source import EVERY_DIMENSION, DataSource, api_call
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters
from dashboard.links import link
from dashboard.pages.features.rows import Pair, base_by_module, pairs
from dashboard.question_limit import ask_in_free_turns
from warehouse.queries.small_groups import OTHER

PLATFORMS = ("php_series", "whmcs_series", "database_series", "web_server_series", "os_release")
Periods = tuple[Filters, Filters]  # this one, the one of comparison
PairCounts = Mapping[Pair, int | None]  # installs by module and feature, or by module and version


def read(data: DataSource, chosen: Filters, search: str) -> list[Change] | None:
    """All changes; None without a comparison, or without complete figures for it. Raises like `DataSource.ask`."""
    periods = data.compared(chosen)
    if periods is None:
        return None
    found = ask_in_free_turns(*(partial(each, data, periods, search) for each in (_features, _versions, _platforms)))
    return [replace(change, rounding=data.rounding) for changes in found for change in changes]


def calls(periods: Periods) -> list[str]:
    """The calls of the read API for all that is compared, and for the installs that it is a share of."""
    found = (api_call(*one) for both in zip(*map(_questions, periods), strict=True) for one in both)
    return list(dict.fromkeys(found))  # without filters the totals are the same


def _questions(period: Filters) -> list[tuple[str, dict[str, str]]]:
    latest = {"grain": "period", "count": "latest"}
    return [
        ("feature_installs", period.args(by="module,feature", grain="period")),
        ("installs", period.args(by="module,version", **latest)),
        ("installs", period.base(by="module", grain="period")),
        ("installs", period.args(by="module", grain="period")),
        *(("installs", period.args(by=dimension, **latest)) for dimension in PLATFORMS),
    ]


def located(data: DataSource, chosen: Filters, change: Change) -> Change:
    """A change of a feature with the version on which its share changed clearly more than on the others."""
    periods = data.compared(chosen)
    if change.kind != "Feature" or change.at_most or periods is None:
        return change
    period, earlier = (replace(one, module=change.module) for one in periods)
    now, before = (
        _users(data, one, change.name, users) for one, (users, _) in ((period, change.now), (earlier, change.before))
    )
    released = data.catalog().releases(change.module)
    # Over all days of the period, fewer days on a new version would look like less use.
    since = {
        version: _users(data, replace(period, start=released[version]), change.name, change.now[0])
        for version in now.installs.keys() - before.installs.keys()
        if period.start < released.get(version, period.start) <= period.end
    }
    return replace(change, where=changed_above_all(before, now, change.points, since))


def _users(data: DataSource, chosen: Filters, feature: str, total: int) -> Users:
    """The users of a feature by version, who are so many in all."""
    installs = _counts(data, "installs", chosen.base(by="version", grain="period"))
    users = _counts(data, "feature_installs", chosen.args(by="version", grain="period", feature=feature))
    at_most = users.pop(OTHER, 0) if users else total
    installs.pop(OTHER, None)
    return Users(users, installs, at_most, data.rounding)


def _features(data: DataSource, periods: Periods, search: str) -> list[Change]:
    counts = ask_in_free_turns(*(partial(pairs, data, "feature_installs", one) for one in periods))
    totals = [base_by_module(data, one) for one in periods]
    matched = " that matched the filters" if periods[0].conditions else ""
    return [
        replace(change, link=link("/feature", search, {"name": change.name, "module": change.module}))
        for change in _of_each_module("Feature", f"installs{matched}", counts, totals)
    ]


def _versions(data: DataSource, periods: Periods, search: str) -> list[Change]:
    """The versions of each module, by the latest report of each install."""
    counts = ask_in_free_turns(*(partial(_by_module_and_version, data, one) for one in periods))
    totals = [_counts(data, "installs", one.args(by="module", grain="period")) for one in periods]
    return [
        replace(
            change,
            name=f"{change.module} {change.name}",
            link=link("/versions", search, {"module": change.module}),
        )
        for change in _of_each_module("Version", among(periods[0].conditions), counts, totals)
    ]


def _of_each_module(
    kind: str, of: str, counts: Sequence[PairCounts], totals: Sequence[Mapping[str, int | None]]
) -> list[Change]:
    """The changes of the features or versions of each module. `counts` and `totals` are those now, then those before.

    `(other)` is of all modules: what it holds may be of any of them.
    """
    folded = counts[1].get((OTHER, OTHER), 0)
    found = []
    for module in dict.fromkeys(module for module, _ in counts[0] if module != OTHER):
        now, before = ({name: n for (own, name), n in one.items() if own == module and n is not None} for one in counts)
        of_module = totals[1].get(module), totals[0].get(module)
        changes = compared(kind, f"{module}'s {of}", before, now, of_module, folded)
        found += [replace(change, module=module) for change in changes]
    return found


def _by_module_and_version(data: DataSource, chosen: Filters) -> PairCounts:
    rows = data.ask("installs", chosen.args(by="module,version", grain="period", count="latest"))["rows"]
    return {(row["keys"][0], row["keys"][1]): row["value"] for row in rows}


def _platforms(data: DataSource, periods: Periods, search: str) -> list[Change]:
    found = []
    installs = f"the {among(periods[0].conditions)}"
    # The cards of the page show more of this period.
    beside = EVERY_DIMENSION, PLATFORMS
    counts = ask_in_free_turns(*(partial(_by_platform, data, *each) for each in zip(periods, beside, strict=True)))
    for dimension, now, before in zip(PLATFORMS, *counts, strict=True):
        totals = sum(before.values()), sum(now.values())
        changes = compared(DIMENSIONS[dimension], installs, before, now, totals, before.get(OTHER, 0))
        found += [
            replace(
                change,
                name=f"{DIMENSIONS[dimension]} {change.name}",
                link=link("/platforms", search, {dimension: change.name}),
            )
            for change in changes
        ]
    return found


def _by_platform(data: DataSource, chosen: Filters, side_by_side: Sequence[str]) -> list[dict[str, int]]:
    return [
        _counts(data, "installs", chosen.args(by=dimension, grain="period", count="latest"), side_by_side)
        for dimension in PLATFORMS
    ]


def _counts(data: DataSource, metric: str, args: dict[str, Any], side_by_side: Sequence[str] = ()) -> dict[str, int]:
    rows = data.ask(metric, args, side_by_side=side_by_side)["rows"]
    return {row["key"]: row["value"] for row in known_rows(rows) if row["key"]}
