"""The evidence of a case, rule by rule, and beside it what else may explain it. Pure."""

from datetime import date

from dash import html

from dashboard.case_words import GRADES, SEVERITIES, badge, grades, rule
from dashboard.formatting import day, plural
from dashboard.innocent import explanations
from warehouse.cases.dossier import Dossier, Flagged
from warehouse.licensing.rules import BY_NAME
from warehouse.licensing.rules.shared_key import SHARED_KEY

# An install that has sent nothing for so many days may have been removed.
SILENT_DAYS = 8


def evidence(known: Dossier, today: date) -> html.Section:
    """A part for each rule that holds; those that do not any more are folded away below."""
    by_rule: dict[str, list[Flagged]] = {}
    for flag in known.flags:
        by_rule.setdefault(flag.rule, []).append(flag)
    holding: list[html.Div] = []
    cleared: list[html.Div] = []
    for name, flags in sorted(by_rule.items()):
        part = _rule(known, name, flags, known.measured if name == SHARED_KEY.name else "")
        (cleared if all(flag.event == "cleared" for flag in flags) else holding).append(part)
    parts = [html.H2("Evidence"), *_silence(known, today), *holding]
    if cleared:
        summary = html.Summary(f"What held before, and holds no longer: {plural(len(cleared), 'rule')}")
        parts.append(html.Details([summary, *cleared], className="rule", open=not holding))
    return html.Section(parts, className="card", **{"aria-label": "Evidence"})


def _silence(known: Dossier, today: date) -> list[html.P]:
    """A line if no install of the case has reported for days."""
    if not known.installs:
        return []
    last = max(report.last_seen for report in known.installs).date()
    if (today - last).days < SILENT_DAYS:
        return []
    who = "The install has" if len(known.installs) == 1 else "The installs have"
    since = f"{day(last)}, {(today - last).days} days ago"
    return [html.P(f"{who} sent nothing since {since}. Whether the module still runs is not known.", className="dim")]


def _rule(known: Dossier, name: str, flags: list[Flagged], measured: str) -> html.Div:
    holding = [flag for flag in flags if flag.event != "cleared"]
    latest = max(holding or flags, key=lambda flag: (flag.at, flag.install))
    rules = BY_NAME.get(name)
    title = [html.H3(rule(name)), badge(SEVERITIES[latest.severity], f"severity-{latest.severity}")]
    if not holding:
        title.append(badge(f"cleared on {day(latest.at.date())}: {latest.why}"))
    elif any(flag.event == "paused" for flag in holding):
        title.append(badge("The owner disputes it", "state-disputed"))
    about = f"Since {day(latest.since.date())}."
    if not holding:
        about = f"It held from {day(latest.since.date())} on."
    if len(holding) > 1:
        about += f" {plural(len(holding), 'install')} in question."
    # What is measured now rests on the same reports as the first piece.
    now = [(measured, latest.pieces[0][1])] if measured and holding else []
    pieces = [
        html.Li([badge(GRADES.get(grade, grade), f"grade-{grade}"), html.Span(text)])
        for text, grade in (*latest.pieces, *now)
    ]
    held = dict.fromkeys(grade for _, grade in latest.pieces)
    innocent = [html.Li(text) for text in explanations(known, latest)]
    return html.Div(
        [
            html.Div(title, className="marks"),
            html.P([f"{rules.description} " if rules else "", about], className="dim"),
            html.Div(
                [
                    html.Div([html.H4("What speaks for it"), html.Ul(pieces), html.P(grades(held), className="dim")]),
                    html.Div([html.H4("What else may explain it"), html.Ul(innocent)]),
                ],
                className="two-sides",
            ),
        ],
        className="rule",
    )
