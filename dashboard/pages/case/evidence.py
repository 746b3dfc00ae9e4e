"""The evidence of a case, rule by rule, and beside it what else may explain it. Pure."""

from dash import html

from dashboard.case_words import GRADES, SEVERITIES, badge, grades, rule
from dashboard.formatting import day, plural
from warehouse.cases.dossier import Dossier, Flagged
from warehouse.licensing.rules import BY_NAME
from warehouse.licensing.rules.shared_key import SHARED_KEY


def evidence(known: Dossier) -> html.Section:
    """A part for each rule that holds, and a line for those that do not any more."""
    by_rule: dict[str, list[Flagged]] = {}
    for flag in known.flags:
        by_rule.setdefault(flag.rule, []).append(flag)
    parts = [
        _rule(name, flags, known.measured if name == SHARED_KEY.name else "") for name, flags in sorted(by_rule.items())
    ]
    return html.Section([html.H2("Evidence"), *parts], className="card", **{"aria-label": "Evidence"})


def _rule(name: str, flags: list[Flagged], measured: str) -> html.Div:
    holding = [flag for flag in flags if flag.event != "cleared"]
    latest = max(holding or flags, key=lambda flag: (flag.at, flag.install))
    rules = BY_NAME.get(name)
    title = [html.H3(rule(name)), badge(SEVERITIES[latest.severity], f"severity-{latest.severity}")]
    if not holding:
        title.append(badge(f"cleared on {day(latest.at.date())}: {latest.why}"))
    elif any(flag.event == "paused" for flag in holding):
        title.append(badge("The owner disputes it", "state-disputed"))
    about = f"Since {day(latest.since.date())}."
    if len(holding) > 1:
        about += f" {plural(len(holding), 'install')} in question."
    # What is measured now rests on the same reports as the first piece.
    now = [(measured, latest.pieces[0][1])] if measured and holding else []
    pieces = [
        html.Li([badge(GRADES.get(grade, grade), f"grade-{grade}"), html.Span(text)])
        for text, grade in (*latest.pieces, *now)
    ]
    held = dict.fromkeys(grade for _, grade in latest.pieces)
    innocent = [html.Li(text) for text in rules.innocent] if rules else [html.Li("This rule exists no longer.")]
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
