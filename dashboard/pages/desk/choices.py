"""The filters of the cases, as links: each is an address. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from dash import html

from dashboard.case_words import GRADES, SEVERITIES, STATES
from dashboard.formatting import plural
from dashboard.tables import anchor

# Each filter: what it is called, and its choices by value; "" is what holds without the filter.
FILTERS: dict[str, tuple[str, dict[str, str]]] = {
    "state": ("State", {"": "Not closed", **STATES, "all": "All"}),
    "severity": ("Severity", {"": "Any", **SEVERITIES}),
    "grade": ("Grade", {"": "Any", **GRADES}),
    "assignee": ("Assigned to", {"": "Anyone", "me": "Me", "nobody": "Nobody"}),
    "new": ("Raised", {"": "Any time", "1": "Since my last visit"}),
    "sort": (
        "Order",
        {"": "Worst", "newest": "Newest", "oldest": "Oldest", "reach": "Installs at once", "touched": "Last change"},
    ),
}


def address(given: Mapping[str, Any]) -> str:
    """The address of the list with these parameters."""
    text = urlencode({name: value for name, value in given.items() if value}, safe=",")
    return f"/licensing?{text}" if text else "/licensing"


def choices(given: Mapping[str, str]) -> list[html.Div]:
    """The filters. The rule, keys and a name in `assignee` are chosen elsewhere, and can be removed here."""
    groups = []
    for name, (label, known) in FILTERS.items():
        chosen = given.get(name, "")
        links: list[Any] = [
            _chosen(text) if value == chosen else _offered(text, {**given, name: value})
            for value, text in known.items()
        ]
        if chosen not in known:
            links.append(_chosen(chosen))
        groups.append(_group(label, links))
    if keys := given.get("key"):
        text = f"{plural(keys.count(',') + 1, 'license key')} ×"
        groups.append(_group("Keys", [_offered(text, {**given, "key": ""})]))
    if rule := given.get("rule"):
        text = f"{rule.replace('_', ' ')} ×"
        groups.append(_group("Rule", [_offered(text, {**given, "rule": ""})]))
    return groups


def _chosen(text: str) -> html.Span:
    return html.Span(text, className="choice", **{"aria-current": "true"})


def _offered(text: str, given: Mapping[str, str]) -> Any:
    return anchor(text, address(given), refine=True, className="choice")


def _group(label: str, links: list[Any]) -> html.Div:
    return html.Div([html.Span(label, className="choices-label"), *links], role="group", **{"aria-label": label})
