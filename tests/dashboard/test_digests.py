"""Weekly digests: when they are due, what is sent, and that a failure is tried again."""

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from core.access_log import AccessLogError
from core.credentials import Credentials, Role
from core.home import Home
from core.saved_views import SavedViews, View, ViewError
from core.settings import SettingError, Settings
from dashboard import digests
from dashboard.alerts import Alert
from dashboard.app import SENDERS, create_app
from dashboard.digests import Digests, due
from dashboard.report import Rendered
from dashboard.sent_emails import SentEmails
from tests.dashboard.conftest import EmptyEngine, fill, visits
from tests.dashboard.counted import answer_with
from warehouse.engine import EngineError

URL = "smtp://user:p%40ss@mail.example:2525?from=pharos@example.com"
HOST = "https://pharos.example.com"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def view(**more: str) -> View:
    return View("product", "Monday", "/", "", mail="team@example.com", **{"saved": "2026-11-20T10:00:00Z", **more})


@pytest.mark.parametrize(
    ("now", "one", "is_due"),
    [
        ("2026-11-23 05:59", view(), False),  # a Monday
        ("2026-11-23 06:00", view(), True),
        ("2026-11-26 12:00", view(), True),
        ("2026-11-26 12:00", view(sent="2026-11-23"), False),
        ("2026-11-30 06:00", view(sent="2026-11-23"), True),
        ("2026-11-29 23:59", view(sent="2026-11-30"), False),  # the clock was set back after that Monday's
        ("2026-11-26 12:00", view(sent="2027-11-22"), True),  # the clock was a year ahead
        ("2026-11-26 12:00", view(saved="2026-11-25T10:00:00Z"), False),
        ("2026-11-26 12:00", View("product", "no mail", "/", "", saved="2026-11-20T10:00:00Z"), False),
    ],
)
def test_a_digest_is_due_once_a_week_from_monday_morning(now: str, one: View, is_due: bool) -> None:
    """A dashboard that was off on Monday sends it later. A view that is new this week waits for the next."""
    assert due([one], at(now)) == ([one] if is_due else [])


@pytest.mark.parametrize(
    ("mark", "is_due"),
    [("", True), ("2026-11-24", True), ("2026-11-25", False), ("2026-11-26", False), ("2027-11-25", True)],
)
def test_a_day_is_checked_once_whatever_the_clock_showed(mark: str, is_due: bool) -> None:
    """After a clock that was a year ahead there are alerts again, and not in a year."""
    assert digests.waits(mark, date(2026, 11, 25)) is is_due


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[EmailMessage]:
    """The e-mails that were sent."""
    mails: list[EmailMessage] = []
    monkeypatch.setattr(digests, "smtp", lambda _url: ("pharos@example.com", mails.append))
    return mails


@pytest.fixture
def views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SavedViews:
    found = SavedViews(tmp_path / "dashboard.sqlite")
    found.save(view())
    return found


NOON = at("2100-11-30 12:00")


def make(
    views: SavedViews,
    credentials: Credentials,
    render: Callable[[View, Role], Rendered],
    clock: Callable[[], datetime] = lambda: NOON,
    url: str = URL,
    outcomes: SentEmails | None = None,
) -> Digests:
    outcomes = outcomes or SentEmails(lambda *_: None)
    return Digests(views, credentials, render, lambda *_: None, lambda *_: None, url, HOST, outcomes, clock)


def test_a_digest_is_sent_once_as_its_owner_sees_it(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """The report is the text, the HTML and a file of the e-mail. The next look sends nothing."""
    roles: list[Role] = []

    def render(one: View, role: Role) -> Rendered:
        roles.append(role)
        return Rendered(f"<h1>{one.name}</h1>", "- Active installs: 800\n")

    sender = make(views, credentials, render)
    assert (sender.send_due(), sender.send_due()) == (1, 0)
    (mail,) = sent
    assert (mail["To"], mail["From"]) == ("team@example.com", "pharos@example.com")
    assert roles == [Role.PRODUCT]
    body: Any = mail.get_body(("html",))
    assert "<h1>Monday</h1>" in body.get_content()
    plain: Any = mail.get_body(("plain",))
    assert plain.get_content().startswith("- Active installs: 800\n")
    assert f"Open it: {HOST}/\n" in plain.get_content()
    assert [part.get_filename() for part in mail.iter_attachments()] == ["report.html"]
    assert [part.get_content_charset() for part in mail.iter_attachments()] == ["utf-8"]
    assert (mail["Date"].datetime, mail["Auto-Submitted"]) == (NOON, "auto-generated")


def test_the_text_of_a_digest_has_the_main_figures(
    home: Home,
    engine: EmptyEngine,
    credentials: Credentials,
    sent: list[EmailMessage],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who reads text alone need not open a file: the figures, and of a table the first five rows, as written."""
    series = [("<8.3>", 1200), *((f"8.{minor}", 90 - minor) for minor in range(6))]
    answer_with("php_series", series, 2000, monkeypatch)
    app = create_app(Settings(home=home.path, smtp_url=URL), home, engine)
    SavedViews(home.dashboard).save(view())
    (sender,) = app.extensions[SENDERS]
    sender._clock = lambda: NOON
    assert sender.send_due() == 1
    body: Any = sent[0].get_body(("plain",))
    text = body.get_content()
    assert text.startswith("Monday\nToday · ")
    for said in (
        "- Active installs: 2\u202f000",
        "\n- <8.3>: Installs 1\u202f200, Share 70%\n",
        "\n- and 2 more\n",
    ):
        assert said in text, text
    assert "\n- 8.4: " not in text


@pytest.mark.parametrize("synthetic", [True, False])
def test_every_email_says_that_the_data_is_synthetic(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage], synthetic: bool
) -> None:
    """The digest, the alert and that of the cases, in the subject and in the text, as the pages do; no other does."""
    views.save(View("licensing", "Desk", "/licensing", "", mail="desk@example.com"))
    cases = EmailMessage()
    cases["Subject"] = "Pharos: Desk, 30 cases, 2 new"
    cases.set_content("Thirty cases.\n")
    cases.add_attachment(b"case", maintype="text", subtype="csv", filename="cases.csv", params={"charset": "utf-8"})
    alert = Alert(NOON.date(), 1, 5, 9)
    sender = Digests(
        views, credentials, lambda *_: Rendered("<p>report</p>", ""), lambda *_: alert, lambda *_: cases, URL, HOST,
        SentEmails(lambda *_: None), lambda: NOON, synthetic=lambda: synthetic,
    )  # fmt: skip
    assert (sender.send_due(), sender.send_alerts(), sender.send_cases()) == (1, 1, 1)
    for mail in sent:
        read: Any = message_from_bytes(mail.as_bytes(), policy=policy.default)
        plain = read.get_body(("plain",)).get_content()
        assert plain.startswith("Synthetic demonstration data\n\n") == synthetic
        assert read["Subject"].endswith(" (synthetic demonstration data)") == synthetic
    assert [[part.get_filename() for part in mail.iter_attachments()] for mail in sent] == [
        ["report.html"], [], ["cases.csv"],
    ]  # fmt: skip


def test_a_digest_that_fails_is_sent_later(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """A failure is no crash, and marks nothing as sent."""
    tries: list[View] = []

    def render(one: View, _role: Role) -> Rendered:
        tries.append(one)
        if len(tries) == 1:
            raise OSError("mail server away")
        return Rendered("<p>later</p>", "later\n")

    sender = make(views, credentials, render)
    assert (sender.send_due(), len(sent)) == (0, 0)
    assert (sender.send_due(), len(sent)) == (1, 1)


def test_one_view_that_fails_does_not_end_the_others(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage], caplog: pytest.LogCaptureFixture
) -> None:
    """What a report raises concerns its view alone. The log names the view, and the place of an unexpected error."""
    views.save(View("product", "Broken", "/", "", mail="broken@example.com"))

    def render(one: View, _role: Role) -> Rendered:
        if one.name == "Broken":
            raise KeyError("secret")
        return Rendered("", "")

    assert make(views, credentials, render).send_due() == 1
    assert [mail["To"] for mail in sent] == ["team@example.com"]
    assert "the digest of the view Broken of product failed: KeyError at test_digests.py:" in caplog.text
    assert "secret" not in caplog.text


def test_what_fails_again_and_again_is_tried_less_and_less_often(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """A report costs many queries. The second try is at the next look, the last ones are six hours apart."""
    now, tries = [NOON], []

    def render(one: View, _role: Role) -> Rendered:
        tries.append(now[0])
        raise ViewError(one.name)

    sender = make(views, credentials, render, lambda: now[0])
    for _ in range(6 * 24):
        sender.send_due()
        now[0] += timedelta(seconds=digests.EVERY_SECONDS)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[:3] == [timedelta(minutes=minutes) for minutes in (10, 20, 60)]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=6)


def test_an_email_is_sent_once_though_that_cannot_be_noted(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a full disk nobody gets a digest every ten minutes. After a restart it comes again, with the same id."""
    mark = views.mark_sent

    def full(_view: View, _monday: str) -> None:
        raise ViewError("disk full")

    monkeypatch.setattr(views, "mark_sent", full)
    now = [NOON]
    sender = make(views, credentials, lambda *_: Rendered("", ""), lambda: now[0])
    assert (sender.send_due(), sender.send_due()) == (1, 0)
    assert make(views, credentials, lambda *_: Rendered("", "")).send_due() == 1
    monkeypatch.setattr(views, "mark_sent", mark)
    now[0] += timedelta(hours=1)
    assert sender.send_due() == 0
    assert views.views()[0].sent == "2100-11-29"
    assert len({mail["Message-ID"] for mail in sent}) == 1
    assert sent[0]["Message-ID"].endswith("@example.com>")


class MailServer(socketserver.StreamRequestHandler):
    """Takes e-mails as SMTP says, and answers `QUIT` with `farewell`. `refused` receivers are unknown."""

    farewell, refused, taken = b"221 bye", b"", list[bytes]()

    def handle(self) -> None:
        self.wfile.write(b"220 mail\r\n")
        for line in self.rfile:
            said = line.strip().upper()
            if said == b"DATA":
                self.wfile.write(b"354 go\r\n")
                self.taken.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            answer = self.farewell if said == b"QUIT" else b"250 ok"
            self.wfile.write((b"550 unknown" if self.refused and self.refused in line else answer) + b"\r\n")
            if said == b"QUIT":
                return


@pytest.fixture
def mail_server() -> Iterator[tuple[type[MailServer], str]]:
    handler = type("Handler", (MailServer,), {"taken": []})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield handler, f"smtp://127.0.0.1:{server.server_address[1]}?from=pharos@example.com"
        server.shutdown()


def test_an_email_that_is_taken_counts_as_sent_whatever_the_farewell(
    views: SavedViews, credentials: Credentials, mail_server: tuple[type[MailServer], str]
) -> None:
    """A server may answer QUIT with an error. The e-mail is with it by then, and is not sent again."""
    handler, url = mail_server
    handler.farewell = b"421 closing"
    sender = make(views, credentials, lambda *_: Rendered("<p>report</p>", "report\n"), url=url)
    assert (sender.send_due(), sender.send_due()) == (1, 0)
    assert [b"<p>report</p>" in mail for mail in handler.taken] == [True]


def test_a_receiver_who_is_unknown_does_not_stop_the_others(
    views: SavedViews, credentials: Credentials, mail_server: tuple[type[MailServer], str]
) -> None:
    """Only the view with the bad address waits."""
    handler, url = mail_server
    handler.refused = b"gone@"
    views.save(View("product", "A", "/", "", mail="gone@example.com"))
    assert make(views, credentials, lambda *_: Rendered("", ""), url=url).send_due() == 1
    assert [b"To: team@example.com" in mail for mail in handler.taken] == [True]


def test_while_the_mail_server_is_away_one_report_is_made_and_none_is_lost(
    views: SavedViews,
    credentials: Credentials,
    mail_server: tuple[type[MailServer], str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others wait, without being made at each look. All are sent once the server is back."""
    handler, url = mail_server
    views.save(View("product", "Second", "/", "", mail="second@example.com"))
    tries: list[str] = []

    def render(one: View, _role: Role) -> Rendered:
        tries.append(one.name)
        return Rendered("", "")

    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"smtp://127.0.0.1:{nobody.getsockname()[1]}?from=pharos@example.com"
    sender = make(views, credentials, render, url=away)
    assert [sender.send_due(), sender.send_due()] == [0, 0]
    assert tries == ["Monday", "Monday"]
    assert "the mail server cannot be used: ConnectionRefusedError" in caplog.text
    sender._send = digests.smtp(url)[1]
    assert (sender.send_due(), len(handler.taken)) == (2, 2)


UNKNOWN = "Last e-mail failed at 30 Nov 2100, 12:00 UTC: the mail server does not accept the address."


def test_the_owner_of_a_view_is_told_what_failed(
    views: SavedViews, credentials: Credentials, mail_server: tuple[type[MailServer], str]
) -> None:
    """Until the e-mail is sent, or the view is saved with another address. Each try counts."""
    handler, url = mail_server
    handler.refused = b"gone@"
    views.save(View("product", "A", "/", "", mail="gone@example.com"))
    counted: list[tuple[str, str]] = []
    outcomes = SentEmails(lambda *each: counted.append(each))
    sender = make(views, credentials, lambda *_: Rendered("", ""), url=url, outcomes=outcomes)
    sender.send_due()
    assert [outcomes.failure(one) for one in views.views()] == [UNKNOWN, ""]
    assert counted == [("digest", "failed"), ("digest", "sent")]
    broken = views.views()[0]
    assert outcomes.failure(replace(broken, saved="2100-11-30T12:01:00Z")) == ""
    handler.refused = b""
    sender.send_due()
    assert outcomes.failure(broken) == ""
    assert counted[2:] == [("digest", "sent")]


def test_while_the_mail_server_is_away_every_owner_is_told(
    views: SavedViews, credentials: Credentials, mail_server: tuple[type[MailServer], str]
) -> None:
    """Also those whose e-mail was not tried. It ends with the first e-mail that is sent."""
    views.save(View("product", "Second", "/", "", mail="second@example.com"))
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"smtp://127.0.0.1:{nobody.getsockname()[1]}?from=pharos@example.com"
    outcomes = SentEmails(lambda *_: None)
    sender = make(views, credentials, lambda *_: Rendered("", ""), url=away, outcomes=outcomes)
    sender.send_due()
    why = "the mail server cannot be used (ConnectionRefusedError)."
    said = f"No e-mail could be sent at 30 Nov 2100, 12:00 UTC: {why}"
    assert [outcomes.failure(one) for one in views.views()] == [said, said]
    sender._send = digests.smtp(mail_server[1])[1]
    sender.send_due()
    assert [outcomes.failure(one) for one in views.views()] == ["", ""]


def test_a_failure_is_in_the_metrics_and_in_the_menu_of_views(
    home: Home, engine: EmptyEngine, credentials: Credentials
) -> None:
    """Of the app as it runs. The series begin with 0, so that Prometheus sees the first failure."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"smtp://127.0.0.1:{nobody.getsockname()[1]}?from=pharos@example.com"
    app = create_app(Settings(home=home.path, smtp_url=away), home, engine)
    SavedViews(home.dashboard).save(view())
    (sender,) = app.extensions[SENDERS]
    sender._clock = lambda: NOON

    def failed() -> dict[str, str]:
        return dict(re.findall(r"^pharos_emails_total\{(.*)\} (\S+)$", app.test_client().get("/metrics").text, re.M))

    before = failed()
    assert set(before.values()) == {"0.0"}
    assert len(before) == 6
    assert sender.send_due() == 0
    assert {name for name, value in failed().items() if value == "1.0"} == {'kind="digest",outcome="failed"'}
    visit = visits(app, credentials)
    said = "No e-mail could be sent at 30 Nov 2100, 12:00 UTC: the mail server cannot be used (ConnectionRefusedError)."
    assert said in str(fill(visit("product"), "views"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ViewError("the role product may not open the page of the view A"), "the role product may not open the page"),
        (EngineError("password=secret"), "the figures could not be read."),
        (AccessLogError("/secret"), "the access log could not be used."),
        (KeyError("secret"), "an error that the log names (KeyError)."),
    ],
)
def test_why_an_email_failed_tells_no_more_than_its_owner_may_know(error: Exception, said: str) -> None:
    """An error of ClickHouse or of the code may hold anything."""
    outcomes = SentEmails(lambda *_: None)
    outcomes.failed("alert", view(), error, NOON)
    assert said in outcomes.failure(view())
    assert "secret" not in outcomes.failure(view())


def test_an_email_that_was_sent_is_not_said_to_have_failed(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even if that cannot be noted."""

    def full(_view: View, _monday: str) -> None:
        raise ViewError("disk full")

    monkeypatch.setattr(views, "mark_sent", full)
    counted: list[tuple[str, str]] = []
    outcomes = SentEmails(lambda *each: counted.append(each))
    make(views, credentials, lambda *_: Rendered("", ""), outcomes=outcomes).send_due()
    assert (counted, outcomes.failure(view())) == ([("digest", "sent")], "")


def test_nothing_is_sent_for_a_user_who_is_gone(
    views: SavedViews, credentials: Credentials, sent: list[EmailMessage]
) -> None:
    """A removed login gets no figures."""
    credentials.remove_user("product")
    assert make(views, credentials, lambda *_: Rendered("", "")).send_due() == 0
    assert sent == []


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example?from=a@b", "smtp://mail.example", "smtp://h?from=x"]
)
def test_a_bad_mail_server_stops_the_start(url: str) -> None:
    """The setting is checked when it is read."""
    with pytest.raises(SettingError, match="PHAROS_SMTP_URL"):
        Settings.from_environ({"PHAROS_SMTP_URL": url})
