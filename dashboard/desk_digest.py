"""The daily e-mail of a saved view of the cases: how many there are, what is new, the first, and more as a CSV file."""

from datetime import datetime, timedelta
from email.message import EmailMessage
from urllib.parse import parse_qs

from core.credentials import Role
from core.saved_views import View
from dashboard.case_file import csv_of
from dashboard.case_words import GRADES, STATES, rule
from dashboard.casework import Casework, Person
from dashboard.formatting import day, plural
from dashboard.permissions import LICENSING, page_at
from warehouse.cases.listing import PARAMETERS, Case

PATH = "/licensing"
SHOWN, MOST = 20, 1000


def digest_of(casework: Casework, address: str, view: View, role: Role, now: datetime) -> EmailMessage | None:
    """Return the e-mail, without sender and receiver; None if no case matches, or the role may see none.

    `address` is that of the dashboard; with "" the e-mail names paths. Raises `QueryError`, `EngineError` and
    `AccessLogError`.
    """
    page = page_at(view.path)
    if role not in LICENSING or page is None or role not in page.roles:
        return None
    given = {name: values[-1] for name, values in parse_qs(view.search.removeprefix("?")).items()}
    args = {name: given[name] for name in PARAMETERS if given.get(name)}
    yesterday, person = now - timedelta(days=1), Person(view.owner, role)
    found, total = casework.list(person, "cases digest", args, seen=yesterday, limit=MOST)
    if not found:
        return None
    _, new = casework.list(person, "cases digest", {**args, "new": "1"}, seen=yesterday, limit=1)
    lines = [
        f"{plural(total.cases, 'case')}, {plural(total.installs, 'install')} in question. "
        f"{plural(new.cases, 'case')} with a flag raised since yesterday.",
        "",
        *(_line(case, address) for case in found[:SHOWN]),
    ]
    if total.cases > SHOWN:
        lines.append(f"… and {total.cases - SHOWN} more.")
    lines += ["", f"The attached file has {'all of them' if total.cases <= MOST else f'the first {MOST}'}."]
    lines += [f"All of them: {address}{view.path}{view.search}"] if address else []
    mail = EmailMessage()
    mail["Subject"] = f"Pharos: {view.name}, {plural(total.cases, 'case')}, {new.cases} new"
    mail.set_content("\n".join(lines) + "\n")
    file = csv_of(found).encode()
    mail.add_attachment(file, maintype="text", subtype="csv", filename="cases.csv", params={"charset": "utf-8"})
    return mail


def _line(case: Case, address: str) -> str:
    held = case.evidence
    why = f"{', '.join(map(rule, held.rules))}; {GRADES[held.grade].lower()}" if held.rules else "no flag holds"
    since = f", since {day(case.since.date())}" if held.rules else ""
    state = f"{STATES[case.state]}, {case.assignee or 'nobody'}"
    return f"- {address}{PATH}/{case.subject}\n  {why}, {plural(case.installs, 'install')} in question{since}. {state}."
