"""Weekly digests: on Mondays each saved view with an e-mail address is sent as a report."""

import logging
import smtplib
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from core.credentials import Credentials, Role
from core.saved_views import SavedViews, View, ViewError
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
        if view.mail and view.sent < monday.isoformat() and datetime.fromisoformat(view.saved) < ready
    ]


def monday_of(day: date) -> date:
    """The Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def message(view: View, html: str, sender: str) -> EmailMessage:
    """The e-mail with a report as its text, and as a file."""
    mail = EmailMessage()
    mail["Subject"] = f"Pharos: {view.name}"
    mail["From"], mail["To"] = sender, view.mail
    mail.set_content(f"The view {view.name} of this week is attached as an HTML file.\n")
    mail.add_alternative(html, subtype="html")
    mail.add_attachment(html.encode(), maintype="text", subtype="html", filename="report.html")
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
    """Sends the digests that are due, and looks again every ten minutes. A digest that fails is sent later."""

    def __init__(
        self,
        views: SavedViews,
        credentials: Credentials,
        render: Callable[[View, Role], str],
        url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._views, self._credentials, self._render, self._clock = views, credentials, render, clock
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
        now, sent = self._clock(), 0
        try:
            views = due(self._views.views(), now)
        except ViewError as error:
            log.warning("%s", error)
            return 0
        for view in views:
            try:
                owner = self._credentials.user(view.owner)
                if owner is None:
                    continue
                self._send(message(view, self._render(view, owner.role), self._sender))
                self._views.mark_sent(view, monday_of(now.date()).isoformat())
                sent += 1
            except (ViewError, QueryError, EngineError, smtplib.SMTPException, OSError) as error:
                log.warning("the digest of a view was not sent: %s", type(error).__name__)
        return sent

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self.send_due()
