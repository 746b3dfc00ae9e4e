"""The installs of a case, others that report the same key, and the look-up of the customer by the key. Pure."""

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import parse_qs

from dash import dcc, html

from dashboard import messages
from dashboard.case_words import hidden, time
from dashboard.casework import Opened
from dashboard.formatting import plural
from dashboard.links import link
from dashboard.login import csrf_token
from dashboard.static_html import static
from warehouse.cases.dossier import MOST_INSTALLS, Reported
from warehouse.cases.subjects import Subject
from warehouse.licensing.rules.shared_key import UNTOLD

LONGEST_KEY = 255
COLUMNS = ("Install", "Reports", "Version", "Source", "First seen", "Last seen")


def installs(opened: Opened, *, seconds: bool) -> html.Section:
    """The tables. Installs come in the order of their first report."""
    known, module = opened.dossier, opened.case.subject.module
    if known.unreadable:
        parts = [html.H2("Installs"), messages.sealed(known.unreadable)]
        return html.Section(parts, className="card", **{"aria-label": "Installs"})
    parts = [
        html.H2(f"{plural(len(known.installs), 'install')} in question"),
        _table(known.installs, known.cases, module, seconds=seconds),
    ]
    if known.others:
        parts += [
            html.H2(f"{plural(len(known.others), 'other install')} that used the same key"),
            _table(known.others, known.cases, module, seconds=seconds),
        ]
    if len([*known.installs, *known.others]) > 1:
        parts.append(html.P(_owner(opened), className="card-note"))
    elif known.registered:
        parts.append(html.P("No other install of the module reported the key.", className="card-note"))
    if known.installs:
        if len(known.registered) == 1:
            parts.append(_list_of_key(module, [*known.installs, *known.others], next(iter(known.registered))))
        parts.append(_list_of_them(module, sorted({report.status for report in known.installs})))
    return html.Section(parts, className="card", **{"aria-label": "Installs"})


def _list_of_key(module: str, reports: Sequence[Reported], key: int) -> html.P:
    """The way to the list of the installs that have reported the key, with the address of each."""
    statuses = ",".join(sorted({report.status for report in reports}))
    href = link("/licensing/installs", "", {"module": module, "status": statuses, "key": f"{key:016x}"})
    return html.P(dcc.Link("Addresses of the installs that used this key", href=href), className="card-note")


def _list_of_them(module: str, statuses: Sequence[str]) -> html.P:
    """The way to the list of installs, which has all that is reported of each."""
    href = link("/licensing/installs", "", {"module": module, "status": ",".join(statuses)})
    text = f"All installs of {module} that report {' or '.join(statuses)}"
    return html.P(dcc.Link(text, href=href), className="card-note")


def _owner(opened: Opened) -> str:
    """What the days on which the installs were seen first say of the owner; "" if they say nothing."""
    known = opened.dossier
    every = [*known.installs, *known.others]
    first = min(report.first_seen.date() for report in every)
    earliest = [report for report in every if report.first_seen.date() == first]
    if len(earliest) > 1:
        return f"{UNTOLD[:1].upper()}{UNTOLD[1:]}."
    # An install may have been seen before it had the key. One that the rule has in question is not called the owner.
    if opened.case.subject.key and earliest[0] in known.installs:
        return ""
    return f"The install that was seen first, {earliest[0].install:016x}, is probably the owner of the key."


def _table(reports: Sequence[Reported], cases: Collection[int], module: str, *, seconds: bool) -> Any:
    if not reports:
        return html.P("None is known any more.", className="card-note")
    rows = []
    for report in reports:
        name = f"{report.install:016x}"
        cells = (
            dcc.Link(name, href=f"/licensing/{Subject(module, report.install, 0)}", className="mono")
            if report.install in cases
            else html.Span(name, className="mono"),
            f"{report.status}, {report.country}" if report.country else report.status,
            report.version,
            report.source,
            time(report.first_seen, seconds=seconds),
            time(report.last_seen, seconds=seconds),
        )
        rows.append(
            html.Tr([html.Td(cell, **{"data-label": label}) for label, cell in zip(COLUMNS, cells, strict=True)])
        )
    more = (
        [html.P(f"At most {MOST_INSTALLS} are shown.", className="card-note")] if len(reports) >= MOST_INSTALLS else []
    )
    head = html.Thead(html.Tr([html.Th(name) for name in COLUMNS]))
    return static(html.Div([html.Table([head, html.Tbody(rows)], className="cases"), *more]))


def compared(opened: Opened, search: str | None) -> Any:
    """Whether the key that was entered is that of the case; "" if none was."""
    given = parse_qs((search or "").removeprefix("?")).get("key", [""])[-1]
    if not re.fullmatch(r"[0-9a-f]{16}", given):
        return ""
    is_it = int(given, 16) in opened.dossier.registered
    text = (
        "The key matches. It does not show which install is theirs."
        if is_it
        else f"No: another key, with the pseudonym {given}. Keys are case-sensitive."
    )
    return html.P(text, className="outcome")


def key_look_up(opened: Opened, search: str | None) -> html.Section:
    """What the registry knows of the keys, and the form that compares a key hash of the vendor's own system."""
    known = opened.dossier.registered
    if not known and opened.dossier.unreadable:
        return _customer(html.P("The license keys of the installs are in their reports, which cannot be read."))
    if not known:
        return _customer(html.P("The installs report no license key, so that no customer can be looked up by one."))
    unknown = "not in the license registry" if opened.dossier.has_registry else "the module has no license registry"
    keys = [
        html.Li([html.Span(f"{key:016x}", className="mono"), f": {said or unknown}"])
        for key, said in sorted(known.items())
    ]
    form = html.Form(
        [
            *hidden(token=csrf_token(), case=opened.case.subject),
            html.Label(
                [
                    html.Span("A customer's license key from your own system, or its SHA-256"),
                    dcc.Input(type="text", name="key", maxLength=LONGEST_KEY, autoComplete="off", required=True),
                ],
                className="field wide",
            ),
            html.Button("Compare", type="submit", className="button quiet"),
        ],
        action="/licensing/look-up",
        method="post",
        className="case-form",
    )
    said = "The keys that these installs report, as pseudonyms, and what the license registry says of them:"
    how = "Whose key is it? Enter the key of a customer whom you have in mind. It is compared, and not stored."
    return _customer(html.P(said), html.Ul(keys), html.P(how), form, compared(opened, search))


def _customer(*parts: Any) -> html.Section:
    title = html.H2("Is this a given customer's key?", id="key")
    return html.Section([title, *parts], className="card", **{"aria-label": "Customer"})
