"""Sessions of the dashboard. They are kept on the server, so that ending one takes effect."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.credentials import Credentials, Role, User, hashed

IDLE_SECONDS = 12 * 3600.0
MOST_SECONDS = 7 * 86400.0
# The precision of the time of last use. Each renewal is a write to the disk.
RENEW_SECONDS = 60.0


@dataclass(frozen=True)
class Session:
    """A session. `id` is shown to its user and is not a secret. Times are in seconds since 1970."""

    id: str
    user: User
    created: float
    used: float


class Sessions:
    """The sessions in the credentials file. A session ends after 12 hours without a request, and after 7 days.

    A session's secret is 32 random bytes in the browser's cookie; the file holds its SHA-256.
    """

    def __init__(self, credentials: Credentials, clock: Callable[[], float] = time.time) -> None:
        self._credentials, self._clock = credentials, clock

    def begin(self, user: User) -> str:
        """Begin a session and return its secret."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        with self._credentials.connect() as db:
            db.execute("DELETE FROM sessions WHERE abs(? - used) >= ? OR abs(? - created) >= ?", _limits(now))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (secrets.token_hex(8), hashed(secret), user.name, now, now),
            )
        return secret

    def find(self, secret: str) -> Session | None:
        """Return the session with this secret and its current user, None if it has ended. Renews the session."""
        now = self._clock()
        with self._credentials.connect() as db:
            row = db.execute(
                "SELECT id, name, role, users.created, sessions.created, used FROM sessions "
                "JOIN users ON user = name WHERE hash = ?",
                (hashed(secret),),
            ).fetchone()
            session = _session(row) if row else None
            if session is None or not _lasts(session, now):
                return None
            if now - session.used >= RENEW_SECONDS:
                db.execute("UPDATE sessions SET used = ? WHERE id = ?", (now, session.id))
        return session

    def of(self, name: str) -> list[Session]:
        """Return the active sessions of a user, newest first."""
        now = self._clock()
        with self._credentials.connect() as db:
            rows = db.execute(
                "SELECT id, name, role, users.created, sessions.created, used FROM sessions "
                "JOIN users ON user = name WHERE name = ? ORDER BY sessions.created DESC",
                (name,),
            ).fetchall()
        return [session for session in map(_session, rows) if _lasts(session, now)]

    def count(self) -> int:
        """Return the number of active sessions."""
        now = self._clock()
        with self._credentials.connect() as db:
            found = db.execute(
                "SELECT count(*) FROM sessions WHERE abs(? - used) < ? AND abs(? - created) < ?", _limits(now)
            )
            return int(found.fetchone()[0])

    def end(self, name: str, id: str) -> None:
        """End a session of the user. Does nothing for another user's session, or one that has ended."""
        with self._credentials.connect() as db:
            db.execute("DELETE FROM sessions WHERE user = ? AND id = ?", (name, id))

    def end_others(self, name: str, id: str) -> None:
        """End all sessions of the user except one."""
        with self._credentials.connect() as db:
            db.execute("DELETE FROM sessions WHERE user = ? AND id != ?", (name, id))


def _session(row: tuple[str, str, str, str, float, float]) -> Session:
    id, name, role, user_created, created, used = row
    return Session(id, User(name, Role(role), user_created), created, used)


def _limits(now: float) -> tuple[float, float, float, float]:
    return now, IDLE_SECONDS, now, MOST_SECONDS


def _lasts(session: Session, now: float) -> bool:
    # A time in the future is that of a clock which was ahead: the session would last until that time has come.
    return abs(now - session.used) < IDLE_SECONDS and abs(now - session.created) < MOST_SECONDS
