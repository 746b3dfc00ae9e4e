"""What became of the e-mails of saved views since the dashboard began, for the metrics and for the owners of views."""

import smtplib
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from core.access_log import AccessLogError
from core.saved_views import View, ViewError
from dashboard.formatting import moment
from warehouse.engine import EngineError
from warehouse.queries.metrics import QueryError

Kind = Literal["digest", "alert", "cases"]
KINDS: tuple[Kind, ...] = ("digest", "alert", "cases")
Outcome = Literal["sent", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("sent", "failed")


class ServerError(Exception):
    """The mail server takes no e-mail at all."""


class SentEmails:
    """The last failure of each view, in words. `count` is called for each e-mail with its kind and outcome."""

    def __init__(self, count: Callable[[Kind, Outcome], None]) -> None:
        self._count = count
        self._failed: dict[tuple[str, str], tuple[str, str]] = {}  # by owner and name: when it was saved, and why
        self._away = ""

    def sent(self, kind: Kind, view: View) -> None:
        """Note that an e-mail was sent."""
        self._count(kind, "sent")
        self._failed.pop((view.owner, view.name), None)
        self._away = ""

    def failed(self, kind: Kind, view: View, error: Exception, now: datetime) -> None:
        """Note that an e-mail could not be made or sent. While the mail server is away, that concerns all views."""
        self._count(kind, "failed")
        if isinstance(error, ServerError):
            self._away = f"No e-mail could be sent at {moment(now)}: the mail server cannot be used ({error})."
        else:
            why = f"Last e-mail failed at {moment(now)}: {in_words(error)}."
            self._failed[view.owner, view.name] = view.saved, why

    def failure(self, view: View) -> str:
        """Return what failed, for the owner of a view; "" if its last e-mail was sent, or it was saved since."""
        saved, why = self._failed.get((view.owner, view.name), ("", ""))
        return why if why and saved == view.saved else self._away


def in_words(error: Exception) -> str:
    """Why an e-mail failed. It has nothing of what a mail server or an unexpected error says."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "the mail server does not accept the address"
    if isinstance(error, EngineError):
        return "the figures could not be read"
    if isinstance(error, AccessLogError):
        return "the access log could not be used"
    if isinstance(error, ViewError | QueryError):
        return str(error)
    return f"an error that the log names ({type(error).__name__})"
