"""Classifies, describes and remembers failures of ClickHouse.

No message contains an address, a secret or a value from a row.
"""

import re
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Parse and type errors: ClickHouse cannot read a row. Any other error may be temporary.
CONTENT_ERRORS = frozenset({6, 26, 27, 32, 38, 41, 53, 69, 70, 72, 117, 131, 321, 349, 441, 467, 676})
# The server does not know the user, or the password is wrong.
AUTHENTICATION_FAILED = 516
# The user may not create users, or the server has no storage for users.
NO_ACCESS_MANAGEMENT = frozenset({495, 497, 514})
# With a table missing, some statements fail while others succeed. The failure counts as fixed when it has not recurred
# for this long.
FORGET = timedelta(minutes=10)


@dataclass(frozen=True)
class Trouble:
    """A current failure: when it began, and what ClickHouse does. `message` completes a sentence: "ClickHouse …".

    `exact` is False when no statement ran in the minute before, as after a start: the failure may have begun earlier.
    """

    since: datetime
    message: str
    exact: bool = True


class EngineError(Exception):
    """ClickHouse could not be reached, or the statement failed. The outcome is unknown; the caller may retry."""

    def __init__(self, message: str = "", trouble: Trouble | None = None) -> None:
        super().__init__(message)
        self.trouble = trouble


class Cancelled(EngineError):
    """The statement was ended because nobody waits for its result any more."""


class ContentError(EngineError):
    """ClickHouse rejected the content of the rows and stored none of them. It will reject the same rows again."""


class Failures:
    """The failures of one ClickHouse, shared by all threads of a process. `label` begins the message of each error."""

    def __init__(self, label: str = "") -> None:
        self._label = label
        self.trouble: Trouble | None = None
        self._lock = threading.Lock()
        self._answered: datetime | None = None
        # Failures by message ("" for no answer at all): first time, whether that time is exact, and last time.
        self._failures: dict[str, tuple[datetime, bool, datetime]] = {}

    def succeeded(self) -> None:
        """Record that a statement succeeded."""
        with self._lock:
            self._answered = datetime.now(UTC)
            self.trouble = None
            self._failures.pop("", None)

    def failed(self, error: Exception, began: datetime) -> EngineError:
        """Record that a statement failed, and when that statement began; returns the error to raise."""
        message = _describe(error)
        away = is_away(error)
        what = "" if away else message
        with self._lock:
            # A recent success dates the moment when ClickHouse became unavailable, but not the start of an error.
            exact = away and self._answered is not None and began - self._answered < timedelta(minutes=1)
            since, was_exact, last = self._failures.get(what, (began, exact, began))
            if not away and began - last > FORGET:
                since, was_exact = began, exact
            self._failures[what] = since, was_exact, began
            self.trouble = Trouble(since, message, was_exact)
            return EngineError(self._label + _first_line(error), self.trouble)


def is_away(error: Exception) -> bool:
    """Whether the failure is a missing answer, not an error from ClickHouse."""
    return getattr(error, "code", None) is None


def _first_line(error: Exception) -> str:
    if problem := _certificate_problem(str(error)):
        return f"the certificate of the ClickHouse server is not trusted: {problem}"
    text = (str(error) or type(error).__name__).splitlines()[0]
    if _NO_ANSWER.search(text):
        return f"the ClickHouse server does not answer{_reason(str(error))}"
    return _AROUND.sub("", text)[:300]


# What urllib3 says, with the address, of its pools and of those of `ClosableConnections`.
_NO_ANSWER = re.compile(r"Pool\(host=|Connection aborted")
# The text that the driver and the server add around the message: codes, the server's version, its address.
_AROUND = re.compile(
    r"^Received ClickHouse exception, code: \d+, server response: (Code: \d+\. )?(DB::Exception: )?"
    r"| \(version [^()]*(\([^()]*\))?\)| \(for url [^)]*\)"
)


def _certificate_problem(text: str) -> str:
    """Return OpenSSL's reason for an untrusted certificate; "" for all other errors."""
    found = re.search(r"certificate verify failed: ([^()\n]+?)\.? \(_ssl", text)
    return found[1] if found else ""


def _describe(error: Exception) -> str:
    code, name, text = getattr(error, "code", None), getattr(error, "name", None), str(error)
    if code is not None:
        return f"answers with {name or 'error'} ({code})"
    if status := re.search(r"HTTP status (\d{3})", text):
        return f"answers with HTTP status {status[1]}"
    if problem := _certificate_problem(text):
        return f"is not asked: its certificate is not trusted ({problem})"
    return f"does not answer{_reason(text)}"


def _reason(text: str) -> str:
    """Return why there is no answer, in parentheses; "" if that is unknown."""
    return next((f" ({words})" for sign, words in _SIGNS.items() if sign in text), "")


_SIGNS = {
    "Connection refused": "connection refused",
    "Failed to resolve": "unknown host name",
    "timed out": "timed out",
    "Connection aborted": "connection closed",
    # OpenSSL's words for an answer that is not TLS.
    "wrong version number": "not HTTPS",
    "record layer failure": "not HTTPS",
}
