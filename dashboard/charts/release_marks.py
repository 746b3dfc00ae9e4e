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
LETTERS = 100  # of labels fit beside each other on an axis, on a narrow screen fewer


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


def labels(releases: Sequence[Release], days: int) -> list[Figure]:
    """The versions at the tops of the lines, or how many modules released; the hover text has the modules.

    On an axis of so many days a label that would reach into the next one is left out; the newest one is there.
    """
    found: list[Figure] = []
    room = None
    for day, each in reversed([(day, list(same)) for day, same in groupby(releases, key=lambda one: one.released)]):
        one_module = len({one.module for one in each}) == 1
        text = ", ".join(one.version for one in each) if one_module else f"{len(each)} releases"
        if room is None or len(text) * days / LETTERS <= (room - day).days:
            room = day
            named = ", ".join(f"{one.module} {one.version}" for one in each)
            found.append(
                {"x": day.isoformat(), "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top",
                 "showarrow": False, "text": text, "hovertext": named, "font": {"size": 11}}
            )  # fmt: skip
    return found[::-1]


def in_words(releases: Sequence[Release]) -> str:
    """A sentence that lists the marks, "" for none."""
    if not releases:
        return ""
    modules = {each.module for each in releases}
    of = f" of {releases[0].module}" if len(modules) == 1 else ""
    named = [f"{each.version if of else f'{each.module} {each.version}'} on "
             f"{shown_day(each.released)}" for each in releases]  # fmt: skip
    return f"{MARKS}{of} ({', '.join(named)})."
