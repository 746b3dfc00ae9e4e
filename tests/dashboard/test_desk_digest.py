"""The daily e-mail of a view of the cases, and the CSV file of what the page shows."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from core.access_log import AccessLog
from core.credentials import Credentials, Role
from core.home import Home
from core.license_keys import LicenseKeys
from core.saved_views import SavedViews, View
from core.settings import Settings
from dashboard import digests
from dashboard.case_file import COLUMNS, csv_of
from dashboard.casework import Casework, Person
from dashboard.desk_digest import digest_of
from dashboard.digests import Digests, due
from dashboard.sent_emails import SentEmails
from tests.warehouse.cases.test_listing import flag
from tests.warehouse.test_engine import done_in
from warehouse.cases.listing import case
from warehouse.cases.revisions import Change, write
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.licensing import flags
from warehouse.migrate import migrate

NOW = datetime.now(UTC)
CRITICAL = View("ada", "Critical", "/licensing", "?severity=critical", mail="team@example.com")


def mailed(engine: Engine, home: Home) -> dict[str, Any]:
    """Thirty cases: 25 critical, two of them raised within a day."""
    migrate(engine)
    made = [
        flag(
            number,
            severity="critical" if number <= 25 else "notice",
            at=NOW - timedelta(hours=5 if number < 3 else 50),
        )
        for number in range(1, 31)
    ]
    flags.write(engine, made, "all")
    log = AccessLog.of(Settings(home=home.path), home)
    casework = Casework(engine, log, Credentials(home.credentials), LicenseKeys(bytes(32)))
    subject = Subject("invoice_pro", 2, 0)
    seen = case(engine, subject)
    assert seen is not None
    write(engine, Change(subject, 0, "ada", "contacted", "=cmd()", evidence=seen.evidence), NOW)
    found, total = casework.list(Person("ada", Role.LICENSING), "cases", {"severity": "critical", "sort": "oldest"})
    return {
        "mail": digest_of(casework, "", CRITICAL, Role.LICENSING, NOW),
        "with links": digest_of(casework, "https://pharos.example.com", CRITICAL, Role.LICENSING, NOW),
        "for product": digest_of(casework, "", CRITICAL, Role.PRODUCT, NOW),
        "none": digest_of(casework, "", View("ada", "None", "/licensing", "?state=resolved"), Role.LICENSING, NOW),
        "file": csv_of(found),
        "shown": [(str(one.subject), one.state, str(one.days), f"{one.since:%Y-%m-%d}") for one in found],
        "total": total.cases,
        "logged": [(entry.who, entry.what) for entry in log.entries(5)],
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    made: dict[str, Any] = done_in("embedded", tmp_path_factory.mktemp("mailed"), mailed)
    return made


def test_the_mail_has_what_the_view_shows(found: dict[str, Any]) -> None:
    """Counts, what is new, the worst, and the file. Nothing without cases, and nothing for a role that may see none."""
    mail: EmailMessage = found["mail"]
    assert mail["Subject"] == "Pharos: Critical, 25 cases, 2 new"
    body: Any = mail.get_body(("plain",))
    text = body.get_content()
    assert "25 cases, 25 installs in question. 2 cases with a flag raised since yesterday." in text
    assert text.count("- /licensing/invoice_pro.install.") == 20
    assert "and 5 more." in text
    (file,) = mail.iter_attachments()
    assert file.get_filename() == "cases.csv"
    assert len(file.get_content().splitlines()) == 26
    assert (found["for product"], found["none"]) == (None, None)
    assert ("ada", "cases digest") in found["logged"]


def test_the_mail_has_links_where_the_address_is_known(found: dict[str, Any]) -> None:
    """To each case that it names, and to the view. Without the setting it names paths."""
    (known, unknown) = (found[name].get_body(("plain",)).get_content() for name in ("with links", "mail"))
    assert known.count("\n- https://pharos.example.com/licensing/invoice_pro.install.") == 20
    assert known.endswith("All of them: https://pharos.example.com/licensing?severity=critical\n")
    assert "http" not in unknown


def test_the_file_has_exactly_what_is_shown(found: dict[str, Any]) -> None:
    """All cases that match, in the order of the page. No text is a formula."""
    rows = list(csv.DictReader(StringIO(found["file"])))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["case"], row["state"], row["days"], row["since"]) for row in rows] == found["shown"]
    assert len(rows) == found["total"] == 25
    assert {row["assignee"] for row in rows} == {"", "'=cmd()"}


def test_a_view_of_the_cases_is_sent_once_a_day(
    tmp_path: Path, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From six in the morning, again on the next day, and again after a failure. It is no weekly report."""
    sent: list[EmailMessage] = []
    monkeypatch.setattr(digests, "smtp", lambda _url: ("pharos@example.com", sent.append))
    views = SavedViews(tmp_path / "dashboard.sqlite")
    views.save(View("licensing", "Mine", "/licensing", "?assignee=me", mail="team@example.com"))
    assert due(views.views(), datetime(2100, 11, 30, 12, tzinfo=UTC)) == []
    moments = [(28, 5), (28, 6), (28, 7), (28, 8), (29, 7)]
    tries: list[Role] = []

    def cases(_view: View, role: Role, _now: datetime) -> EmailMessage:
        tries.append(role)
        if len(tries) == 1:
            raise OSError("mail server away")
        return EmailMessage()

    def clock() -> datetime:
        day, hour = moments.pop(0)
        return datetime(2026, 11, day, hour, tzinfo=UTC)

    never: Callable[..., Any] = lambda *_: pytest.fail("no report and no alert")  # noqa: E731
    sender = Digests(
        views, credentials, never, never, cases, "smtp://h?from=a@b.example", "", SentEmails(lambda *_: None), clock
    )
    assert [sender.send_cases() for _ in range(5)] == [0, 0, 1, 0, 1]
    assert set(tries) == {Role.LICENSING}
    assert sent[0]["To"] == "team@example.com"
