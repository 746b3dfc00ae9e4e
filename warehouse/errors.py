"""How a failure of ClickHouse is classified, worded and remembered.

No message holds an address, a secret or a value of a row.
"""

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Parse and type errors: ClickHouse cannot read a row. Any other error may pass with time.
CONTENT_ERRORS = frozenset({6, 26, 27, 32, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 441, 467, 676})
# The server does not know the user, or the password is wrong.
AUTHENTICATION_FAILED = 516
# The user may not create users, or the server has no place to keep them.
NO_ACCESS_MANAGEMENT = frozenset({495, 497, 514})
# A missing table fails some statements while others succeed. After this long without that failure it counts as fixed.
FORGET = timedelta(minutes=10)


@dataclass(frozen=True)
class Trouble:
    """The failure that goes on: since when, and what ClickHouse does, in words that follow its name.

    `exact` is False when nobody asked ClickHouse in the minute before, as after a start: it may have begun earlier.
    """

    since: datetime
    message: str
    exact: bool = True


class EngineError(Exception):
    """ClickHouse could not be reached, or did not do it: the outcome is unknown, and it may be tried again."""

    def __init__(self, message: str = "", trouble: Trouble | None = None) -> None:
        super().__init__(message)
        self.trouble = trouble


class ContentError(EngineError):
    """ClickHouse refused what the rows hold: the same rows will be refused again, and nothing of them was stored."""


class Failures:
    """Remembers the failures of one ClickHouse, for all threads of a process."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self._lock = threading.Lock()
        self._answered: datetime | None = None
        # By what ClickHouse does ("" for no answer at all): since when, whether that is exact, and the last time.
        self._failures: dict[str, tuple[datetime, bool, datetime]] = {}

    def succeeded(self) -> None:
        """Note that a statement succeeded."""
        with self._lock:
            self._answered = datetime.now(UTC)
            self.trouble = None
            self._failures.pop("", None)

    def failed(self, error: Exception, began: datetime) -> EngineError:
        """Note that a statement failed which began then; returns the error to raise."""
        message = _what_it_does(error)
        away = is_away(error)
        what = "" if away else message
        with self._lock:
            # A good answer a moment ago says when ClickHouse went away. It does not say when it began to refuse this.
            exact = away and self._answered is not None and began - self._answered < timedelta(minutes=1)
            since, was_exact, last = self._failures.get(what, (began, exact, began))
            if not away and began - last > FORGET:
                since, was_exact = began, exact
            self._failures[what] = since, was_exact, began
            self.trouble = Trouble(since, message, was_exact)
            return EngineError(_first_line(error), self.trouble)


def is_away(error: Exception) -> bool:
    """Whether no ClickHouse answered."""
    return getattr(error, "code", None) is None


def _first_line(error: Exception) -> str:
    if problem := _certificate_problem(str(error)):
        return f"the certificate of the ClickHouse server is not trusted: {problem}"
    text = (str(error) or type(error).__name__).splitlines()[0]
    if "HTTPConnectionPool" in text or "HTTPSConnectionPool" in text:
        return "the ClickHouse server does not answer"
    return _AROUND.sub("", text)[:300]


# What the driver and the server put around the message itself: codes, the server's version, its address.
_AROUND = re.compile(
    r"^Received ClickHouse exception, code: \d+, server response: (Code: \d+\. )?(DB::Exception: )?"
    r"| \(version [^()]*(\([^()]*\))?\)| \(for url [^)]*\)"
)


def _certificate_problem(text: str) -> str:
    """What OpenSSL says of a certificate that it does not trust; "" for all other errors."""
    found = re.search(r"certificate verify failed: ([^()\n]+?)\.? \(_ssl", text)
    return found[1] if found else ""


def _what_it_does(error: Exception) -> str:
    code, name, text = getattr(error, "code", None), getattr(error, "name", None), str(error)
    if code is not None:
        return f"answers with {name or 'error'} ({code})"
    if status := re.search(r"HTTP status (\d{3})", text):
        return f"answers with HTTP status {status[1]}"
    if problem := _certificate_problem(text):
        return f"is not asked: its certificate is not trusted ({problem})"
    for sign, words in _SIGNS.items():
        if sign in text:
            return f"does not answer ({words})"
    return "does not answer"


_SIGNS = {
    "Connection refused": "connection refused",
    "Failed to resolve": "its name is not known",
    "timed out": "not in time",
}
