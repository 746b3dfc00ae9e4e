"""E-mails of saved views: on Mondays the view as a report, and each day an alert if its installs are unusual.

A view of the cases is sent each day, in place of both.
"""

import hashlib
import logging
import smtplib
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from core import logs
from core.credentials import Credentials, Role
from core.saved_views import SavedViews, View, ViewError
from dashboard import regions
from dashboard.alerts import Alert
from dashboard.desk_digest import PATH as DESK
from dashboard.report import Rendered
from dashboard.sent_emails import Kind, SentEmails, ServerError

HOUR = 6  # UTC: beacons of Sunday's last minutes have arrived
EVERY_SECONDS = 600.0
TIMEOUT_SECONDS = 30.0
# An e-mail that fails is made anew at the next look, and then less and less often: a report costs many queries.
LONGEST_WAIT = timedelta(hours=6)
EXPECTED = (*regions.EXPECTED, ViewError, smtplib.SMTPException, OSError)

log = logging.getLogger("pharos.digests")
Send = Callable[[EmailMessage], None]
Key = tuple[str, ...]  # kind of e-mail, owner and name of the view, when it was saved, day


def due(views: list[View], now: datetime) -> list[View]:
    """The views whose digest of this week is still to be sent. A view that is saved later in the week waits."""
    monday = monday_of(now.date())
    ready = datetime.combine(monday, datetime.min.time(), UTC) + timedelta(hours=HOUR)
    if now < ready:
        return []
    return [
        view
        for view in views
        if view.mail and view.path != DESK and waits(view.sent, monday) and datetime.fromisoformat(view.saved) < ready
    ]


def waits(mark: str, day: date) -> bool:
    """Whether a view whose last e-mail was of the day `mark` waits for that of `day`.

    A mark that is more than a week ahead was made under a wrong clock. Nothing would be sent until that day.
    """
    return mark < day.isoformat() or mark > (day + timedelta(days=7)).isoformat()


def monday_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def link(view: View, address: str) -> str:
    """The line that leads to a view; "" if the address of the dashboard is not known."""
    return f"Open it: {address}{view.path}{view.search}\n" if address else ""


def message(view: View, made: Rendered, address: str) -> EmailMessage:
    """The e-mail with a report as its text, as HTML, and as a file."""
    mail = EmailMessage()
    mail["Subject"] = f"Pharos: {view.name}"
    mail.set_content(f"{made.text}\nThe whole report is attached as an HTML file.\n{link(view, address)}")
    mail.add_alternative(made.html, subtype="html")
    mail.add_attachment(made.html, subtype="html", filename="report.html")
    return mail


def alert_message(view: View, text: str, address: str) -> EmailMessage:
    """The e-mail of an alert."""
    mail = EmailMessage()
    mail["Subject"] = f"Pharos: {view.name} is unusual"
    mail.set_content(f"{text}\n{link(view, address)}")
    return mail


def say_synthetic(mail: EmailMessage) -> None:
    """Say in the subject and at the top of the text that the figures are those of the demonstration."""
    mail.replace_header("Subject", f"{mail['Subject']} (synthetic demonstration data)")
    text: Any = mail.get_body(("plain",))
    text.set_content(f"Synthetic demonstration data\n\n{text.get_content()}")


def address_to(mail: EmailMessage, view: View, sender: str, key: Key, now: datetime) -> None:
    """Set sender, receiver and date, and an id by which a mail server knows an e-mail that it gets a second time."""
    mail["From"], mail["To"], mail["Date"] = sender, view.mail, now
    mail["Message-ID"] = f"<{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:32]}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"


def smtp(url: str) -> tuple[str, Send]:
    """The sender's address, and what sends an e-mail by the server of `PHAROS_SMTP_URL`.

    `smtps` is TLS from the start. With `smtp`, TLS begins if the server offers it, and before any password.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""

    def connected() -> smtplib.SMTP:
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if parts.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT_SECONDS)
            server.ehlo()
            if parts.username or server.has_extn("starttls"):
                server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        return server

    def send(mail: EmailMessage) -> None:
        try:
            server = connected()
        except (smtplib.SMTPException, OSError) as error:
            raise ServerError(type(error).__name__) from error
        try:
            server.send_message(mail)
        finally:
            with suppress(smtplib.SMTPException):  # the e-mail is sent, or not, whatever is said of the farewell
                server.quit()
            server.close()

    return parse_qs(parts.query)["from"][0], send


class Digests:
    """Sends digests and alerts that are due, and looks again every ten minutes. One that fails is sent later."""

    def __init__(
        self,
        views: SavedViews,
        credentials: Credentials,
        render: Callable[[View, Role], Rendered],
        alert: Callable[[View, Role, date], Alert | None],
        cases: Callable[[View, Role, datetime], EmailMessage | None],
        url: str,
        address: str,
        outcomes: SentEmails,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        synthetic: Callable[[], bool] = lambda: False,
    ) -> None:
        self._views, self._credentials, self._address, self._clock = views, credentials, address, clock
        self._outcomes, self._synthetic = outcomes, synthetic
        self._render, self._alert, self._cases = render, alert, cases
        self._sender, self._send = smtp(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="digests", daemon=True)
        # E-mails that are sent and could not be noted; how often others have failed, and when they are tried again.
        self._sent: set[Key] = set()
        self._failed: dict[Key, tuple[int, datetime]] = {}

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the digest that is being sent."""
        self._stop.set()

    def send_due(self) -> int:
        """Send what is due, and return how many digests were sent."""
        now = self._clock()

        def mail(view: View, role: Role) -> EmailMessage:
            return message(view, self._render(view, role), self._address)

        return self._each(
            "digest", now, monday_of(now.date()), lambda views: due(views, now), mail, self._views.mark_sent
        )

    def send_alerts(self) -> int:
        """Check yesterday for each view with an e-mail address, once, and return how many alerts were sent."""
        now = self._clock()

        def mail(view: View, role: Role) -> EmailMessage | None:
            found = self._alert(view, role, now.date())
            return alert_message(view, found.text(view.name), self._address) if found else None

        return self._each_day("alert", now, now.date() - timedelta(days=1), mail, desk=False)

    def send_cases(self) -> int:
        """Send each view of the cases once a day, and return how many were sent. One without cases is not sent."""
        now = self._clock()

        def mail(view: View, role: Role) -> EmailMessage | None:
            return self._cases(view, role, now)

        return self._each_day("cases", now, now.date(), mail, desk=True)

    def _each_day(
        self, kind: Kind, now: datetime, day: date, mail: Callable[[View, Role], EmailMessage | None], *, desk: bool
    ) -> int:
        def unchecked(views: list[View]) -> list[View]:
            kept = [view for view in views if view.mail and (view.path == DESK) == desk]
            return [view for view in kept if waits(self._views.checked(view), day)]

        return self._each(kind, now, day, unchecked, mail, self._views.mark_checked) if now.hour >= HOUR else 0

    def _each(
        self,
        kind: Kind,
        now: datetime,
        day: date,
        chosen: Callable[[list[View]], list[View]],
        mail: Callable[[View, Role], EmailMessage | None],
        mark: Callable[[View, str], None],
    ) -> int:
        """Send for each chosen view whose owner is still a user, and return how many were sent.

        What fails is logged, and tried again later. While the mail server is away, the others wait without being made.
        """
        sent = 0
        self._failed = {
            key: tries for key, tries in self._failed.items() if key[0] != kind or key[-1] == day.isoformat()
        }
        try:
            views = chosen(self._views.views())
        except ViewError as error:
            log.warning("%s", error)
            return 0
        for view in views:
            key = (kind, view.owner, view.name, view.saved, day.isoformat())
            times, later = self._failed.get(key, (0, now))
            if now < later:
                continue
            try:
                owner = self._credentials.user(view.owner)
                if owner is None:
                    continue
                if key not in self._sent and (made := mail(view, owner.role)) is not None:
                    if self._synthetic():
                        say_synthetic(made)
                    address_to(made, view, self._sender, key, now)
                    self._send(made)
                    self._outcomes.sent(kind, view)
                    sent += 1
                self._sent.add(key)
                mark(view, day.isoformat())
            except ServerError as error:
                log.warning("the mail server cannot be used: %s", error)
                self._outcomes.failed(kind, view, error, now)
                break
            except Exception as error:  # or one view would end the e-mails of all
                why = (
                    type(error).__name__
                    if isinstance(error, EXPECTED)
                    else f"{type(error).__name__} at {logs.place(error)}"
                )
                log.warning("the %s of the view %s of %s failed: %s", kind, view.name, view.owner, why)
                if key not in self._sent:
                    self._outcomes.failed(kind, view, error, now)
                wait = timedelta(seconds=EVERY_SECONDS * (2 ** min(times + 1, 10) - 2))
                self._failed[key] = times + 1, now + min(wait, LONGEST_WAIT)
                continue
            self._sent.discard(key)
            self._failed.pop(key, None)
        return sent

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.send_due()
            self.send_alerts()
            self.send_cases()
