"""Who may post and who may look: ingest keys, dashboard users, read-API tokens; in the home, hashed.

Keys and tokens are 32 random bytes, so one SHA-256 is hash enough; passwords go through scrypt (werkzeug).
"""

import hashlib
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from werkzeug.security import check_password_hash, generate_password_hash

from core.fields import MODULE
from core.sqlite import read_only


class Role(StrEnum):
    """What somebody may see."""

    PRODUCT = "product"
    LICENSING = "licensing"
    ADMIN = "admin"

    @property
    def licensing(self) -> bool:
        """Whether the license plane is open to this role."""
        return self is not Role.PRODUCT


class CredentialError(Exception):
    """A name, module or id that cannot be used; the message says why."""


@dataclass(frozen=True)
class IngestKey:
    """An ingest key as stored: `modules` it is valid for, all when empty."""

    id: str
    modules: frozenset[str]
    created: str

    def allows(self, module: str) -> bool:
        """Whether beacons of `module` may come under this key."""
        return not self.modules or module in self.modules


@dataclass(frozen=True)
class User:
    """A dashboard login."""

    name: str
    role: Role
    created: str


@dataclass(frozen=True)
class Token:
    """A read-API token as stored: `expires` None is never, `used` is the last day on which it was presented."""

    id: str
    role: Role
    created: str
    expires: str | None = None
    used: str | None = None


_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, hash BLOB UNIQUE NOT NULL, modules TEXT NOT NULL, created TEXT);
CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, hash BLOB UNIQUE NOT NULL, role TEXT NOT NULL, created TEXT);
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, password TEXT NOT NULL, role TEXT NOT NULL, created TEXT);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, hash BLOB UNIQUE NOT NULL, user TEXT NOT NULL, created REAL NOT NULL, used REAL NOT NULL
);
"""
# Columns that files of earlier versions lack.
_ADDED = {"tokens": {"expires": "TEXT", "used": "TEXT"}}
TOKEN_DAYS = 365
_USER = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")
_MODULE = re.compile(rf"\A(?:{MODULE})\Z")
# Compared with when the user is unknown, so that the answer takes as long as for a known one.
_NOBODY = generate_password_hash(secrets.token_hex(16))
CACHE_SECONDS = 1.0
LOCK_SECONDS = 10.0
# Each check of a password takes 32 MiB; logins that come at once wait for each other.
_CHECKING = threading.BoundedSemaphore(2)


class Credentials:
    """The credentials file (SQLite). Opened anew for each call: few calls, and no connection to share between threads.

    Ingest keys and tokens are cached for `CACHE_SECONDS`, so a revoked one is refused a second later at most.
    """

    def __init__(self, path: Path, *, only_read: bool = False) -> None:
        self._path, self._only_read = path, only_read
        self._cached_at = float("-inf")
        self._keys: dict[bytes, IngestKey] = {}
        self._tokens: dict[bytes, Token] = {}
        if only_read:
            return
        path.touch(mode=0o600)
        with self.connect() as db:
            db.executescript(_SCHEMA)
            for table, columns in _ADDED.items():
                there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
                for name, kind in columns.items():
                    if name not in there:
                        # Another process that starts at this moment may be first.
                        with suppress(sqlite3.OperationalError):
                            db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file, for one call."""
        db = (
            read_only(self._path, LOCK_SECONDS)
            if self._only_read
            else sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
        )
        try:
            db.execute("PRAGMA secure_delete = ON")
            # FULL leaves the end of the journal's entry unsynced: a power cut could take back the key just shown.
            db.execute("PRAGMA synchronous = EXTRA")
            yield db
        finally:
            db.close()

    def add_key(self, modules: tuple[str, ...] = (), key: str | None = None) -> str:
        """Store a new ingest key (or the given one, once) and return it: it is shown now or never."""
        for module in modules:
            if not _MODULE.match(module):
                raise CredentialError(f"a module's name must match {MODULE}")
        key = key or f"pik_{secrets.token_urlsafe(32)}"
        with self.connect() as db:
            db.execute(
                "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)",
                (secrets.token_hex(4), hashed(key), json.dumps(sorted(set(modules))), _now()),
            )
        self._cached_at = float("-inf")
        return key

    def keys(self) -> list[IngestKey]:
        """All ingest keys, oldest first."""
        with self.connect() as db:
            rows = db.execute("SELECT id, modules, created FROM keys ORDER BY created, id").fetchall()
        return [IngestKey(id, frozenset(json.loads(modules)), created) for id, modules, created in rows]

    def revoke_key(self, id: str) -> None:
        """Take an ingest key back; raises `CredentialError` when there is none of that id."""
        self._delete("keys", "id", id)

    def key(self, key: str) -> IngestKey | None:
        """The ingest key that was presented, if it is one."""
        self._refresh()
        return self._keys.get(hashed(key))

    def add_token(self, role: Role, days: int | None = TOKEN_DAYS) -> str:
        """Store a new read-API token and return it: it is shown now or never. `days` None: it does not expire."""
        token = f"prt_{secrets.token_urlsafe(32)}"
        expires = None if days is None else _utc(time.time() + days * 86400)
        with self.connect() as db:
            db.execute(
                "INSERT INTO tokens (id, hash, role, created, expires) VALUES (?, ?, ?, ?, ?)",
                (secrets.token_hex(4), hashed(token), role, _now(), expires),
            )
        self._cached_at = float("-inf")
        return token

    def tokens(self) -> list[Token]:
        """All tokens, oldest first."""
        with self.connect() as db:
            rows = db.execute("SELECT id, role, created, expires, used FROM tokens ORDER BY created, id").fetchall()
        return [Token(id, Role(role), *rest) for id, role, *rest in rows]

    def revoke_token(self, id: str) -> None:
        """Take a token back; raises `CredentialError` when there is none of that id."""
        self._delete("tokens", "id", id)

    def token(self, token: str) -> Token | None:
        """The token that was presented, if it is one and has not expired; that it is used is noted once a day."""
        self._refresh()
        found = self._tokens.get(hashed(token))
        if found is None or (found.expires is not None and found.expires <= _now()):
            return None
        if found.used != (today := _now()[:10]):
            self._tokens[hashed(token)] = replace(found, used=today)
            with suppress(sqlite3.Error), self.connect() as db:  # no reason to refuse a reader
                db.execute("UPDATE tokens SET used = ? WHERE id = ?", (today, found.id))
        return found

    def add_user(self, name: str, role: Role, password: str | None = None) -> str:
        """Store a login and return its password, a generated one where none was given."""
        if not _USER.match(name):
            raise CredentialError("a user's name must be letters, digits, and . _ @ - inside, 64 at most")
        password = password or secrets.token_urlsafe(12)
        try:
            with self.connect() as db:
                db.execute(
                    "INSERT INTO users VALUES (?, ?, ?, ?)", (name, generate_password_hash(password), role, _now())
                )
        except sqlite3.IntegrityError:
            raise CredentialError(f"there is a user {name} already") from None
        return password

    def users(self) -> list[User]:
        """All logins, by name."""
        with self.connect() as db:
            rows = db.execute("SELECT name, role, created FROM users ORDER BY name").fetchall()
        return [User(name, Role(role), created) for name, role, created in rows]

    def user(self, name: str) -> User | None:
        """The login of that name."""
        return next((user for user in self.users() if user.name == name), None)

    def remove_user(self, name: str) -> None:
        """Remove a login, and end its sessions."""
        with self.connect() as db, db:
            db.execute("BEGIN IMMEDIATE")
            removed = db.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount
            db.execute("DELETE FROM sessions WHERE user = ?", (name,))
        if not removed:
            raise CredentialError(f"there is no name {name} among the users")

    def change_password(self, name: str, password: str | None = None) -> str:
        """Give a login another password, a generated one where none was given; returns it. All its sessions end."""
        password = password or secrets.token_urlsafe(12)
        with self.connect() as db, db:
            db.execute("BEGIN IMMEDIATE")
            changed = db.execute(
                "UPDATE users SET password = ? WHERE name = ?", (generate_password_hash(password), name)
            ).rowcount
            db.execute("DELETE FROM sessions WHERE user = ?", (name,))
        if not changed:
            raise CredentialError(f"there is no name {name} among the users")
        return password

    def log_in(self, name: str, password: str) -> User | None:
        """The user, if the password is theirs. Takes equally long for unknown names."""
        with self.connect() as db:
            row = db.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        with _CHECKING:
            right = check_password_hash(row[0] if row else _NOBODY, password)
        return self.user(name) if row and right else None

    def _delete(self, table: str, column: str, value: str) -> None:
        with self.connect() as db:
            if db.execute(f"DELETE FROM {table} WHERE {column} = ?", (value,)).rowcount == 0:  # noqa: S608
                raise CredentialError(f"there is no {column} {value} among the {table}")
        self._cached_at = float("-inf")

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._cached_at < CACHE_SECONDS:
            return
        with self.connect() as db:
            keys = db.execute("SELECT hash, id, modules, created FROM keys").fetchall()
            tokens = db.execute("SELECT hash, id, role, created, expires, used FROM tokens").fetchall()
        self._keys = {hash: IngestKey(id, frozenset(json.loads(mods)), created) for hash, id, mods, created in keys}
        self._tokens = {hash: Token(id, Role(role), *rest) for hash, id, role, *rest in tokens}
        self._cached_at = now


def bearer(authorization: str | None) -> str:
    """The secret of a header `Authorization: Bearer …`, "" where there is none."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def hashed(secret: str) -> bytes:
    """What is stored of a key, a token or the secret of a session."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _now() -> str:
    return _utc(time.time())


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
