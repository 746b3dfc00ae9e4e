"""E-mails of saved views: on Mondays the view as a report, and each day an alert if its installs are unusual.

A view of the cases is sent each day, in place of both.
"""

import logging
import smtplib
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from core.access_log import AccessLogError
from core.credentials import Credentials, Role
from core.saved_views import SavedViews, View, ViewError
from dashboard.alerts import Alert
from dashboard.desk_digest import PATH as DESK
from warehouse.engine import EngineError
from warehouse.queries.metrics import QueryError

HOUR = 6  # UTC: beacons of Sunday's last minutes have arrived
EVERY_SECONDS = 600.0
TIMEOUT_SECONDS = 30.0

log = logging.getLogger("pharos.digests")
Send = Callable[[EmailMessage], None]


def due(views: list[View], now: datetime) -> list[View]:
    """The views whose digest of this week is still to be sent. A view that is saved later in the week waits."""
    monday = monday_of(now.date())
    ready = datetime.combine(monday, datetime.min.time(), UTC) + timedelta(hours=HOUR)
    if now < ready:
        return []
    return [
        view
        for view in views
        if view.mail
        and view.path != DESK
        and view.sent < monday.isoformat()
        and datetime.fromisoformat(view.saved) < ready
    ]


def monday_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def link(view: View, address: str) -> str:
    """The line that leads to a view; "" if the address of the dashboard is not known."""
    return f"Open it: {address}{view.path}{view.search}\n" if address else ""


def message(view: View, html: str, sender: str, address: str) -> EmailMessage:
    """The e-mail with a report as its text, and as a file."""
    mail = EmailMessage()
    mail["Subject"] = f"Pharos: {view.name}"
    mail["From"], mail["To"] = sender, view.mail
    mail.set_content(f"The view {view.name} of this week is attached as an HTML file.\n{link(view, address)}")
    mail.add_alternative(html, subtype="html")
    mail.add_attachment(html.encode(), maintype="text", subtype="html", filename="report.html")
    return mail


def alert_message(view: View, text: str, sender: str, address: str) -> EmailMessage:
    """The e-mail of an alert."""
    mail = EmailMessage()
    mail["Subject"] = f"Pharos: {view.name} is unusual"
    mail["From"], mail["To"] = sender, view.mail
    mail.set_content(f"{text}\n{link(view, address)}")
    return mail


def smtp(url: str) -> tuple[str, Send]:
    """The sender's address, and what sends an e-mail by the server of `PHAROS_SMTP_URL`.

    `smtps` is TLS from the start. With `smtp`, TLS begins if the server offers it, and before any password.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""

    def send(mail: EmailMessage) -> None:
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if parts.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT_SECONDS)
        with server:
            if parts.scheme == "smtp":
                server.ehlo()
                if parts.username or server.has_extn("starttls"):
                    server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)

    return parse_qs(parts.query)["from"][0], send


class Digests:
    """Sends digests and alerts that are due, and looks again every ten minutes. One that fails is sent later."""

    def __init__(
        self,
        views: SavedViews,
        credentials: Credentials,
        render: Callable[[View, Role], str],
        alert: Callable[[View, Role, date], Alert | None],
        cases: Callable[[View, Role, datetime], EmailMessage | None],
        url: str,
        address: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._views, self._credentials, self._address, self._clock = views, credentials, address, clock
        self._render, self._alert, self._cases = render, alert, cases
        self._sender, self._send = smtp(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="digests", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the digest that is being sent."""
        self._stop.set()

    def send_due(self) -> int:
        """Send what is due, and return how many digests were sent."""
        now = self._clock()

        def send(view: View, role: Role) -> bool:
            self._send(message(view, self._render(view, role), self._sender, self._address))
            self._views.mark_sent(view, monday_of(now.date()).isoformat())
            return True

        return self._each(lambda views: due(views, now), send)

    def send_alerts(self) -> int:
        """Check yesterday for each view with an e-mail address, once, and return how many alerts were sent."""
        now = self._clock()
        if now.hour < HOUR:
            return 0
        yesterday = (now.date() - timedelta(days=1)).isoformat()

        def send(view: View, role: Role) -> bool:
            if self._views.checked(view) >= yesterday:
                return False
            found = self._alert(view, role, now.date())
            if found is not None:
                self._send(alert_message(view, found.text(view.name), self._sender, self._address))
            self._views.mark_checked(view, yesterday)
            return found is not None

        return self._each(lambda views: [view for view in views if view.mail and view.path != DESK], send)

    def send_cases(self) -> int:
        """Send each view of the cases once a day, and return how many were sent. One without cases is not sent."""
        now = self._clock()
        if now.hour < HOUR:
            return 0
        today = now.date().isoformat()

        def send(view: View, role: Role) -> bool:
            if self._views.checked(view) >= today:
                return False
            mail = self._cases(view, role, now)
            if mail is not None:
                mail["From"], mail["To"] = self._sender, view.mail
                self._send(mail)
            self._views.mark_checked(view, today)
            return mail is not None

        return self._each(lambda views: [view for view in views if view.mail and view.path == DESK], send)

    def _each(self, chosen: Callable[[list[View]], list[View]], send: Callable[[View, Role], bool]) -> int:
        """Send for each chosen view whose owner is still a user. What fails is logged, and tried again later."""
        sent = 0
        try:
            views = chosen(self._views.views())
        except ViewError as error:
            log.warning("%s", error)
            return 0
        for view in views:
            try:
                owner = self._credentials.user(view.owner)
                sent += owner is not None and send(view, owner.role)
            except (ViewError, QueryError, EngineError, AccessLogError, smtplib.SMTPException, OSError) as error:
                log.warning("an e-mail of a view was not sent: %s", type(error).__name__)
        return sent

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.send_due()
            self.send_alerts()
            self.send_cases()
