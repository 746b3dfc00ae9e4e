"""The marks of releases on a time axis: a dotted line on the day, and the version at its top. Pure."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby

from core.catalog import Catalog
from core.releases import Release
from dashboard.charts.style import GREY, Figure
from dashboard.formatting import day as shown_day

# What a note calls them.
MARKS = "Dotted marks: releases"
MOST_MARKS = 12  # more of them hide the figures; then only the newest are marked


def released(catalog: Catalog, module: str, start: date, end: date) -> list[Release]:
    """The releases of a module, or of all modules, from `start` to `end`: at most `MOST_MARKS`, oldest first."""
    modules = [module] if module else sorted(catalog.released_modules())
    found = [
        Release(name, version, day)
        for name in modules
        for version, day in catalog.releases(name).items()
        if start <= day <= end
    ]
    return sorted(found, key=lambda each: (each.released, each.module, each.version))[-MOST_MARKS:]


def lines(releases: Sequence[Release]) -> list[Figure]:
    """A dotted line on each day of a release."""
    return [
        {"type": "line", "x0": day, "x1": day, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
         "line": {"color": GREY, "width": 1, "dash": "dot"}}
        for day in dict.fromkeys(each.released.isoformat() for each in releases)
    ]  # fmt: skip


def labels(releases: Sequence[Release]) -> list[Figure]:
    """The versions at the tops of the lines, or how many modules released; the hover text has the modules."""
    return [
        {"x": day.isoformat(), "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top", "showarrow": False,
         "text": ", ".join(each.version for each in group) if len({each.module for each in group}) == 1
         else f"{len(group)} releases",
         "hovertext": ", ".join(f"{each.module} {each.version}" for each in group), "font": {"size": 11}}
        for day, group in ((day, list(found)) for day, found in groupby(releases, key=lambda each: each.released))
    ]  # fmt: skip


def in_words(releases: Sequence[Release]) -> str:
    """A sentence that lists the marks, "" for none."""
    if not releases:
        return ""
    modules = {each.module for each in releases}
    named = [f"{each.version if len(modules) == 1 else f'{each.module} {each.version}'} on "
             f"{shown_day(each.released)}" for each in releases]  # fmt: skip
    return f"{MARKS} ({', '.join(named)})."
