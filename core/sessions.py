"""Logins of the dashboard that are in use. They are kept on the server, so that one that is ended is ended."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.credentials import Credentials, Role, User, hashed

IDLE_SECONDS = 12 * 3600.0
MOST_SECONDS = 7 * 86400.0
# How exact the time of the last use is: each renewal is a write to the disk.
RENEW_SECONDS = 60.0


@dataclass(frozen=True)
class Session:
    """A session by the id that its user sees, which opens nothing; times in seconds since 1970."""

    id: str
    user: User
    created: float
    used: float


class Sessions:
    """The sessions in the file of the credentials. One ends after 12 hours without a request, and after 7 days.

    A session's secret is 32 random bytes in the browser's cookie; the file holds its SHA-256.
    """

    def __init__(self, credentials: Credentials, clock: Callable[[], float] = time.time) -> None:
        self._credentials, self._clock = credentials, clock

    def begin(self, user: User) -> str:
        """Begin a session and return its secret."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        with self._credentials.connect() as db:
            db.execute("DELETE FROM sessions WHERE used <= ? OR created <= ?", (now - IDLE_SECONDS, now - MOST_SECONDS))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (secrets.token_hex(8), hashed(secret), user.name, now, now),
            )
        return secret

    def find(self, secret: str) -> Session | None:
        """The session of this secret with the user as of now, while it lasts; it is renewed."""
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
        """The sessions of a user that last, newest first."""
        now = self._clock()
        with self._credentials.connect() as db:
            rows = db.execute(
                "SELECT id, name, role, users.created, sessions.created, used FROM sessions "
                "JOIN users ON user = name WHERE name = ? ORDER BY sessions.created DESC",
                (name,),
            ).fetchall()
        return [session for session in map(_session, rows) if _lasts(session, now)]

    def end(self, name: str, id: str) -> None:
        """End a session of that user; of another user's, or one that has ended, nothing happens."""
        with self._credentials.connect() as db:
            db.execute("DELETE FROM sessions WHERE user = ? AND id = ?", (name, id))

    def end_others(self, name: str, id: str) -> None:
        """End all sessions of that user but one."""
        with self._credentials.connect() as db:
            db.execute("DELETE FROM sessions WHERE user = ? AND id != ?", (name, id))


def _session(row: tuple[str, str, str, str, float, float]) -> Session:
    id, name, role, user_created, created, used = row
    return Session(id, User(name, Role(role), user_created), created, used)


def _lasts(session: Session, now: float) -> bool:
    return now - session.used < IDLE_SECONDS and now - session.created < MOST_SECONDS
