"""Ingest keys, dashboard users and read-API tokens, stored as hashes in the home.

Keys and tokens are 32 random bytes, so SHA-256 is sufficient. Passwords use scrypt (werkzeug).
"""

import hashlib
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from core.fields import MODULE
from core.sqlite import read_only


class Role(StrEnum):
    """The permissions of a user or token."""

    PRODUCT = "product"
    LICENSING = "licensing"
    ADMIN = "admin"

    @property
    def licensing(self) -> bool:
        """Whether this role may read the license plane."""
        return self is not Role.PRODUCT


# How development keys begin.
DEVELOPMENT = "pdk_"
# What the tokens of build servers have in place of a role.
BUILD = "build"


class CredentialError(Exception):
    """A name, module or id cannot be used. The message says why."""


@dataclass(frozen=True)
class IngestKey:
    """An ingest key as stored. It is valid for `modules`, for all if empty. Its `label` is for the operator alone.

    A `registry` key may write the license registry, and post no beacons. The beacons of a `development` key are kept
    apart for a day and counted in no figure.
    """

    id: str
    modules: frozenset[str]
    created: str
    registry: bool = False
    development: bool = False
    label: str = ""

    def allows(self, module: str) -> bool:
        """Whether this key may post beacons of `module`."""
        return not self.registry and (not self.modules or module in self.modules)


@dataclass(frozen=True)
class User:
    """A dashboard login."""

    name: str
    role: Role
    created: str


@dataclass(frozen=True)
class Token:
    """A read-API token as stored. `expires` None means never, `used` is the day of its last use. `label` as of a key.

    A token that `builds` belongs to a build server: it may report releases and nothing else, whatever its role.
    """

    id: str
    role: Role
    created: str
    expires: str | None = None
    used: str | None = None
    builds: bool = False
    label: str = ""

    @property
    def may(self) -> str:
        """The word for its permissions: `build`, or the role."""
        return BUILD if self.builds else self.role.value


_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, hash BLOB UNIQUE NOT NULL, modules TEXT NOT NULL, created TEXT);
CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, hash BLOB UNIQUE NOT NULL, role TEXT NOT NULL, created TEXT);
CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, password TEXT NOT NULL, role TEXT NOT NULL, created TEXT);
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, hash BLOB UNIQUE NOT NULL, user TEXT NOT NULL, created REAL NOT NULL, used REAL NOT NULL
);
"""
# Columns that are missing in files of earlier versions.
_ADDED = {
    "tokens": {"expires": "TEXT", "used": "TEXT", "label": "TEXT NOT NULL DEFAULT ''"},
    "keys": {
        "registry": "INTEGER NOT NULL DEFAULT 0",
        "development": "INTEGER NOT NULL DEFAULT 0",
        "label": "TEXT NOT NULL DEFAULT ''",
    },
}
_OF_KEYS = "id, modules, created, registry, development, label"
_OF_TOKENS = "id, role, created, expires, used, label"
MOST_LABEL = 64
TOKEN_DAYS = 365
_USER = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")
_MODULE = re.compile(rf"\A(?:{MODULE})\Z")
CACHE_SECONDS = 1.0
# For a key or token that is not in the cache, because it may be new. At most so often: an attacker may try many.
NEW_SECONDS = 0.05
# Each password check takes 32 MiB, so simultaneous logins wait for each other.
_CHECKING = threading.BoundedSemaphore(2)
LOCK_SECONDS = 10.0


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    """Create what an older version's file does not have."""
    db.executescript(_SCHEMA)
    for table, columns in _ADDED.items():
        there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        for name, kind in columns.items():
            if name not in there:
                # Another process that starts now may be first.
                with suppress(sqlite3.OperationalError):
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


class Credentials:
    """The credentials file (SQLite). Each call opens it: calls are few, and threads share no connection.

    Ingest keys and tokens are cached for `CACHE_SECONDS`: a revoked one is rejected within a second, and a new one is
    known at once.
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
            _bring_up_to_date(db)

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """Open a connection to the file, for one call."""
        db = (
            self._copy() if self._only_read else sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)
        )
        try:
            db.execute("PRAGMA secure_delete = ON")
            # FULL does not sync the journal's deletion: a power cut could lose the key just shown.
            db.execute("PRAGMA synchronous = EXTRA")
            yield db
        finally:
            db.close()

    def _copy(self) -> sqlite3.Connection:
        """Return a copy in memory, so that a file of an older version can be read without changing it."""
        copy = sqlite3.connect(":memory:", isolation_level=None)
        with closing(read_only(self._path, LOCK_SECONDS)) as db:
            db.backup(copy)
        _bring_up_to_date(copy)
        return copy

    def add_key(
        self,
        modules: tuple[str, ...] = (),
        key: str | None = None,
        *,
        registry: bool = False,
        development: bool = False,
        label: str = "",
    ) -> str:
        """Store a new key (or the given one, once) and return it. It cannot be shown again.

        It is an ingest key, a registry key or a development key. The list of keys shows its label.
        """
        _check_label(label)
        if registry and development:
            raise CredentialError("a key is for the registry or for development, not for both")
        for module in modules:
            if not _MODULE.match(module):
                raise CredentialError(f"a module's name must match {MODULE}")
        key = key or f"{'prk_' if registry else DEVELOPMENT if development else 'pik_'}{secrets.token_urlsafe(32)}"
        id, listed = secrets.token_hex(4), json.dumps(sorted(set(modules)))
        with self.connect() as db:
            db.execute(
                "INSERT OR IGNORE INTO keys (id, hash, modules, created, registry, development, label) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (id, hashed(key), listed, _now(), registry, development, label),
            )
        self._cached_at = float("-inf")
        return key

    def keys(self) -> list[IngestKey]:
        """Return all ingest keys, oldest first."""
        with self.connect() as db:
            rows = db.execute(f"SELECT {_OF_KEYS} FROM keys ORDER BY created, id").fetchall()  # noqa: S608
        return [_key(*row) for row in rows]

    def revoke_key(self, given: str) -> None:
        """Revoke the ingest key with this id or this secret. Raises `CredentialError` if there is none."""
        self._revoke("keys", given)

    def key(self, key: str) -> IngestKey | None:
        """Return the ingest key with this secret, None if unknown."""
        self._refresh(CACHE_SECONDS)
        if (hash := hashed(key)) not in self._keys:
            self._refresh(NEW_SECONDS)
        return self._keys.get(hash)

    def add_token(self, role: Role | None, days: int | None = TOKEN_DAYS, label: str = "") -> str:
        """Store a new token and return it. It cannot be shown again. With `days` None it does not expire.

        Without a role it is the token of a build server.
        """
        _check_label(label)
        token = f"prt_{secrets.token_urlsafe(32)}"
        expires = None if days is None else _utc(time.time() + days * 86400)
        with self.connect() as db:
            db.execute(
                "INSERT INTO tokens (id, hash, role, created, expires, label) VALUES (?, ?, ?, ?, ?, ?)",
                (secrets.token_hex(4), hashed(token), role or BUILD, _now(), expires, label),
            )
        self._cached_at = float("-inf")
        return token

    def tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""
        with self.connect() as db:
            rows = db.execute(f"SELECT {_OF_TOKENS} FROM tokens ORDER BY created, id").fetchall()  # noqa: S608
        return [_token(*row) for row in rows]

    def revoke_token(self, given: str) -> None:
        """Revoke the token with this id or this secret. Raises `CredentialError` if there is none."""
        self._revoke("tokens", given)

    def token(self, token: str) -> Token | None:
        """Return the token with this secret, None if unknown or expired. Records its use once a day."""
        self._refresh(CACHE_SECONDS)
        if (hash := hashed(token)) not in self._tokens:
            self._refresh(NEW_SECONDS)
        found = self._tokens.get(hash)
        if found is None or (found.expires is not None and found.expires <= _now()):
            return None
        if found.used != (today := _now()[:10]):
            self._tokens[hash] = replace(found, used=today)
            with suppress(sqlite3.Error), self.connect() as db:  # not a reason to reject the request
                db.execute("UPDATE tokens SET used = ? WHERE id = ?", (today, found.id))
        return found

    def add_user(self, name: str, role: Role, password: str | None = None) -> str:
        """Store a login and return its password, generated if not given."""
        if not _USER.match(name):
            raise CredentialError("a user's name must be letters, digits, and . _ @ - after the first, at most 64")
        password = password or secrets.token_urlsafe(12)
        try:
            with self.connect() as db:
                db.execute("INSERT INTO users VALUES (?, ?, ?, ?)", (name, _hash(password), role, _now()))
        except sqlite3.IntegrityError:
            raise CredentialError(f"the user {name} already exists") from None
        return password

    def users(self) -> list[User]:
        """Return all logins, by name."""
        with self.connect() as db:
            rows = db.execute("SELECT name, role, created FROM users ORDER BY name").fetchall()
        return [User(name, Role(role), created) for name, role, created in rows]

    def user(self, name: str) -> User | None:
        """Return the login with that name, None if unknown."""
        return next((user for user in self.users() if user.name == name), None)

    def remove_user(self, name: str) -> None:
        """Remove a login and end its sessions."""
        with self.connect() as db, db:
            db.execute("BEGIN IMMEDIATE")
            removed = db.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount
            db.execute("DELETE FROM sessions WHERE user = ?", (name,))
        if not removed:
            raise CredentialError(f"unknown user {name}")

    def change_password(self, name: str, password: str | None = None) -> str:
        """Change a login's password, generated if not given, and return it. Ends all its sessions."""
        password = password or secrets.token_urlsafe(12)
        with self.connect() as db, db:
            db.execute("BEGIN IMMEDIATE")
            changed = db.execute("UPDATE users SET password = ? WHERE name = ?", (_hash(password), name)).rowcount
            db.execute("DELETE FROM sessions WHERE user = ?", (name,))
        if not changed:
            raise CredentialError(f"unknown user {name}")
        return password

    def log_in(self, name: str, password: str) -> User | None:
        """Return the user if the password is correct. Takes equally long for unknown names."""
        with self.connect() as db:
            row = db.execute("SELECT password FROM users WHERE name = ?", (name,)).fetchone()
        with _CHECKING:
            nobody = _nobody()
            right = _matches(row[0] if row else nobody, password)
        return self.user(name) if row and right else None

    def id_of(self, secret: str) -> str:
        """Return the id of a key or a token that exists."""
        with self.connect() as db:
            ids = "SELECT id FROM keys WHERE hash = ?1 UNION ALL SELECT id FROM tokens WHERE hash = ?1"
            (id,) = db.execute(ids, (hashed(secret),)).fetchone()
        return str(id)

    def _revoke(self, table: str, given: str) -> None:
        with self.connect() as db:
            found = db.execute(f"DELETE FROM {table} WHERE id = ? OR hash = ?", (given, hashed(given)))  # noqa: S608
        if not found.rowcount:
            # Without what was given: it may be a secret.
            raise CredentialError(f"no such id or secret in {table}")
        self._cached_at = float("-inf")

    def _refresh(self, age: float) -> None:
        """Read keys and tokens, if the cache is at least this old."""
        now = time.monotonic()
        if now - self._cached_at < age:
            return
        with self.connect() as db:
            keys = db.execute(f"SELECT hash, {_OF_KEYS} FROM keys").fetchall()  # noqa: S608
            tokens = db.execute(f"SELECT hash, {_OF_TOKENS} FROM tokens").fetchall()  # noqa: S608
        self._keys = {hash: _key(*row) for hash, *row in keys}
        self._tokens = {hash: _token(*row) for hash, *row in tokens}
        self._cached_at = now


@cache
def _nobody() -> str:
    """Return what is checked for an unknown user, so that the response takes as long as for a known one.

    Made with the first login of a process, whoever it is, and not at its start: most processes check no password, and
    it takes 32 MiB.
    """
    return _hash(secrets.token_hex(16))


# Werkzeug is imported with the first password: it is a third of the time that a command takes to start.
def _hash(password: str) -> str:
    from werkzeug.security import generate_password_hash

    return generate_password_hash(password)


def _matches(stored: str, password: str) -> bool:
    from werkzeug.security import check_password_hash

    return check_password_hash(stored, password)


def _key(id: str, modules: str, created: str, registry: int, development: int, label: str) -> IngestKey:
    return IngestKey(id, frozenset(json.loads(modules)), created, bool(registry), bool(development), label)


def _token(id: str, role: str, created: str, expires: str | None, used: str | None, label: str) -> Token:
    builds = role == BUILD
    return Token(id, Role.PRODUCT if builds else Role(role), created, expires, used, builds, label)


def _check_label(label: str) -> None:
    if len(label) > MOST_LABEL or not label.isprintable() or label != label.strip():
        raise CredentialError(f"a label must be printable text without surrounding spaces, at most {MOST_LABEL} long")


def bearer(authorization: str | None) -> str:
    """Return the secret of a header `Authorization: Bearer …`, "" if none."""
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def hashed(secret: str) -> bytes:
    """Return the stored hash of a key, a token or the secret of a session."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _now() -> str:
    return _utc(time.time())


def _utc(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
