"""The home: the private folder with the spool, the embedded engine, credentials and the root secret."""

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import IO

from core.owner import user_name
from core.settings import Settings

# Longer than `is_locked` holds a lock.
LOCK_SECONDS = 0.5
LOCK_POLL_SECONDS = 0.1
# What the key of license states is derived for.
STATES = "license states"


class HomeError(Exception):
    """The home cannot be used. The message says why."""


class Home:
    """The paths in `PHAROS_HOME`. Creates the folder (mode 0700) if it is missing, unless `make` is false."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        self.path = path.absolute()
        if make:
            self._make()
        self.spool = self.path / "spool.sqlite"
        self.secret = self.path / "secret"
        # Of the root secret that the home is used with, which may be in the settings.
        self.fingerprint = self.path / "secret.fingerprint"
        # The key that seals license states, for a loader without the root secret.
        self.states_key = self.path / "states.key"
        self.credentials = self.path / "credentials.sqlite"
        self.access_log = self.path / "access.sqlite"
        # Reported releases and saved views.
        self.dashboard = self.path / "dashboard.sqlite"
        self.catalog = self.path / "catalog.toml"
        self.engine = self.path / "clickhouse"
        self.temporary = self.path / "tmp"
        self.metrics = self.path / "metrics"
        # The parts of `pharos serve` that are down (`core/parts.py`).
        self.parts = self.path / "parts.json"
        # Present if the data is synthetic, which every page then states. Contains the last day of the fleet.
        self.synthetic = self.path / "synthetic"
        # Present while a restore is unfinished. Names the backup.
        self.restoring = self.path / "restoring"

    def _make(self) -> None:
        try:
            missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in missing:
                sync_folder(folder.parent)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise HomeError(f"PHAROS_HOME {self.path} cannot be created: {why}") from None

    def protect(self) -> None:
        """Close an existing home to other users, if it is ours and the file system allows it."""
        if self.path.stat().st_uid == os.getuid():
            with contextlib.suppress(OSError):
                self.path.chmod(0o700)

    def require_writable(self) -> None:
        """Raise `HomeError` if the home is not writable."""
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise HomeError(self.why_not_writable())

    def why_not_writable(self) -> str:
        """Return why the home is not writable."""
        if os.statvfs(self.path).f_flag & os.ST_RDONLY:
            return f"{self.path} cannot be written: its file system is read-only"
        if (owner := self.path.stat().st_uid) == os.geteuid():
            return f"{self.path} cannot be written: run chmod 700 {self.path}"
        name, own = user_name(owner), user_name(os.geteuid())
        why = f"it belongs to {name}: run Pharos as {name}, or give it to {own} with chown -R"
        return f"{self.path} cannot be written: {why}"

    def lock(self, name: str, wait: float = LOCK_SECONDS) -> IO[bytes]:
        """Hold `<home>/<name>.lock` until the returned file is closed.

        Raises `HomeError` if another process still holds it after `wait` seconds.
        """
        deadline = time.monotonic() + wait
        try:
            file = (self.path / f"{name}.lock").open("ab")
        except OSError as error:
            raise HomeError(f"{self.path / name}.lock cannot be written: {error.strerror}") from None
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except OSError:
                if time.monotonic() >= deadline:
                    file.close()
                    raise HomeError(
                        f"Pharos is already running with the home {self.path} (another process holds {name}.lock): "
                        "stop it first"
                    ) from None
                time.sleep(LOCK_POLL_SECONDS)

    def is_locked(self, name: str) -> bool:
        """Whether another process holds `<home>/<name>.lock`. Writes nothing."""
        try:
            with (self.path / f"{name}.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def root_secret(self, settings: Settings) -> bytes:
        """Return the root secret: the setting, or one that is generated once and kept in the home (mode 0600).

        Raises `HomeError` if it is not the one that the home was used with before: no install would be recognized.
        """
        if fault := self.secret_fault(settings):
            raise HomeError(fault)
        if not settings.secret:
            self._create(self.secret, secrets.token_hex(32))
        secret = self._given_secret(settings)
        self._create(self.fingerprint, fingerprint(secret))
        self._create(self.states_key, derive(secret, STATES).hex())
        return secret

    def key_of_states(self, settings: Settings) -> bytes:
        """Return the key that seals license states: that of the setting, of the root secret, or of the collector.

        Raises `HomeError` if none is there. Writes nothing beside a ClickHouse server.
        """
        if settings.states_key:
            return bytes.fromhex(settings.states_key)
        if not settings.clickhouse_url:
            return derive(self.root_secret(settings), STATES)
        if settings.secret or self.secret.exists():
            if fault := self.secret_fault(settings):
                raise HomeError(fault)
            return derive(self._given_secret(settings), STATES)
        try:
            return bytes.fromhex(self.states_key.read_text())
        except FileNotFoundError:
            raise HomeError(
                f"{self.states_key} is missing: the collector of this home makes it when it starts; "
                "elsewhere set PHAROS_STATES_KEY to what is in it"
            ) from None

    def secret_fault(self, settings: Settings) -> str:
        """Return why the root secret cannot be used, "" if it can. Writes nothing."""
        if not self.fingerprint.exists():
            return ""
        if not settings.secret and not self.secret.exists():
            return (
                f"the root secret of {self.path} is missing: set PHAROS_SECRET_FILE to it, or put it into {self.secret}"
            )
        if fingerprint(self._given_secret(settings)) != self.fingerprint.read_text().strip():
            given = "PHAROS_SECRET" if settings.secret else str(self.secret)
            return f"{given} is not the root secret of {self.path}: no install would be recognized"
        return ""

    def _given_secret(self, settings: Settings) -> bytes:
        return settings.secret.encode() if settings.secret else self.secret.read_bytes().strip()

    def _create(self, path: Path, content: str) -> None:
        """Create a file (mode 0600), unless it exists. Simultaneous starts agree, and a kill leaves no partial file."""
        if path.exists():
            return
        aside = self.path / f"{path.name}.{secrets.token_hex(4)}"
        _write_new(aside, content.encode())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
        sync_folder(self.path)


def put(path: Path, content: bytes) -> None:
    """Write a file (mode 0600) atomically and durably, even through a power cut."""
    aside = path.with_name(f"{path.name}.part")
    aside.unlink(missing_ok=True)
    _write_new(aside, content)
    aside.rename(path)
    sync_folder(path.parent)


def _write_new(path: Path, content: bytes) -> None:
    """Write a new file (mode 0600) and sync its content."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def copy_file(source: Path, target: Path) -> None:
    """Copy a file of any size (mode 0600) and sync its content. Call `sync_folder` to sync its folder entry."""
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        written.flush()
        os.fsync(written.fileno())


def sync_folder(path: Path) -> None:
    """Sync the folder's entries. Only then does a new file survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def derive(root: bytes, purpose: str) -> bytes:
    """Derive a 32-byte key for one purpose (HKDF-SHA256, RFC 5869, one block, no salt)."""
    extracted = hmac.digest(bytes(32), root, hashlib.sha256)
    return hmac.digest(extracted, f"pharos {purpose}".encode() + b"\x01", hashlib.sha256)


def fingerprint(secret: bytes) -> str:
    """Return a value that identifies a root secret without revealing it."""
    return derive(secret, "backup").hex()
