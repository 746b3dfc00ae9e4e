"""`pharos restore`: restore a backup into a new home and an empty database.

The restore checks everything before it writes. A mark in the home shows that it is half restored, and no part starts
with such a home. Running the same restore again continues it. The tokens of its inserts make repeated rows count once.
"""

import contextlib
import gzip
import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from collector.rights.request_store import Kept, RequestStore
from collector.spool import Spool, Unavailable
from collector.spool.duplicates import files_of, folder_of
from core.home import Home, copy_file, fingerprint, put, sync_folder
from core.settings import Settings
from pharos import manifest
from pharos.backup import Progress
from pharos.manifest import BackupError, Manifest
from warehouse import export, install_data, month_tables
from warehouse.engine import Engine, EngineError
from warehouse.licensing import states_key
from warehouse.migrate import MigrationError, sql_files
from warehouse.plane_tables import Plane

MOST_ERASED = 1000  # in one statement
AGAIN = "run the same pharos restore again"


@dataclass
class Restored:
    """The result of a restore: beacons and installs in the tables, and beacons in the spool."""

    beacons: int = 0
    installs: int = 0
    spooled: int = 0


def restore(settings: Settings, folder: Path, progress: Progress, decisions: Kept | None = None) -> Restored:
    """Restore a backup into an empty home and an empty database, then apply the later `decisions`.

    Raises `BackupError`, `HomeError`, `EngineError`.
    """
    whole = manifest.read(folder)
    _check_compatible(whole, settings)
    try:
        return _restore(settings, whole, folder, decisions, progress)
    except (OSError, sqlite3.Error, Unavailable) as error:
        raise BackupError(f"{getattr(error, 'strerror', '') or error}; {AGAIN}") from None


def _restore(settings: Settings, whole: Manifest, folder: Path, decisions: Kept | None, progress: Progress) -> Restored:
    home = Home(settings.home)
    home.protect()
    home.require_writable()
    restored = Restored()
    with contextlib.ExitStack() as stack:
        for name in ("serve", "loader", "backup"):
            stack.enter_context(home.lock(name))
        begun = _earlier_attempt(home, folder)
        engine = stack.enter_context(_engine(settings, home)) if whole.tables else None
        if not begun:
            _require_empty(home, engine)
        attempt = begun or secrets.token_hex(8)
        put(home.restoring, f"{_identity(folder)} {attempt}\n".encode())
        for name in ("secret", "synthetic", "credentials.sqlite", "access.sqlite", "dashboard.sqlite", "catalog.toml"):
            if whole.of_home(name):
                put(home.path / name, (folder / name).read_bytes())
        if whole.fingerprint:
            put(home.fingerprint, whole.fingerprint.encode())
        if engine is not None:
            if whole.fingerprint:
                states_key.claim(engine)
            _tables(whole, folder, engine, attempt, progress)
            if month_tables.USED_AFTER not in whole.migrations:
                month_tables.fill_used(engine)
            if decisions is not None:
                _erase(engine, decisions, attempt)
        if whole.of_home(home.spool.name):
            restored.spooled = _spool(home, folder / home.spool.name, decisions)
        home.restoring.unlink()
        sync_folder(home.path)
        if engine is not None:
            restored.beacons, restored.installs = export.counted(engine)
    return restored


def _check_compatible(whole: Manifest, settings: Settings) -> None:
    """Raise `BackupError` for a backup that this version, with these settings, cannot use."""
    known = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sql_files()}
    for name, sha256 in whole.migrations.items():
        if name not in known:
            raise BackupError(f"the backup was made by a newer Pharos ({whole.pharos}): its database has {name}")
        if known[name] != sha256:
            raise BackupError(f"{name} is not the file that was applied to the database of the backup")
    for _, part in whole.parts():
        if part.table not in export.TABLES:
            raise BackupError(f"the backup contains the table {part.table}, which is unknown to this Pharos")
    if not whole.fingerprint:
        return
    if settings.secret and fingerprint(settings.secret.encode()) != whole.fingerprint:
        raise BackupError("PHAROS_SECRET is not the root secret of the backup: no install would be recognized")
    if not settings.secret and not whole.of_home("secret"):
        raise BackupError("the root secret is not in the backup: set PHAROS_SECRET or PHAROS_SECRET_FILE to it")


def _identity(folder: Path) -> str:
    return hashlib.sha256((folder / manifest.NAME).read_bytes()).hexdigest()


def _earlier_attempt(home: Home, folder: Path) -> str:
    """Return the id of an earlier, unfinished attempt at this restore, "" if none."""
    if not home.restoring.exists():
        return ""
    of, _, attempt = home.restoring.read_text().strip().partition(" ")
    if of != _identity(folder):
        raise BackupError(f"{home.path} is half restored from another backup: restore that one, or use a new home")
    return attempt


def _require_empty(home: Home, engine: Engine | None) -> None:
    # The engine itself reports whether its folder is empty.
    passed_over = {home.engine.name, home.temporary.name, "lost+found"}
    for entry in sorted(home.path.iterdir()):
        if entry.name not in passed_over and entry.suffix != ".lock":
            raise BackupError(f"{home.path} is in use: it holds {entry.name}; a restore needs a new home")
    if engine is not None:
        if not export.is_empty(engine):
            raise BackupError(f"the database {engine.database} contains rows: a restore needs an empty database")
        states_key.forget(engine)


@contextlib.contextmanager
def _engine(settings: Settings, home: Home) -> Iterator[Engine]:
    engine = Engine(settings, home)
    try:
        yield engine
    except MigrationError as error:
        raise BackupError(str(error)) from None
    finally:
        engine.close()


def _tables(whole: Manifest, folder: Path, engine: Engine, attempt: str, progress: Progress) -> None:
    done, total = 0, sum(part.rows for _, part in whole.parts())
    progress(done, total)
    for file, part in whole.parts():
        native = gzip.decompress((folder / file.name).read_bytes())
        if native:
            try:
                engine.of(part.table).write(part.table, native, f"restore {attempt} {part.name}")
            except EngineError as error:
                raise EngineError(f"{error}; {AGAIN}") from error
        done += part.rows
        progress(done, total)


def _erase(engine: Engine, decisions: Kept, attempt: str) -> None:
    """Erase the installs that were erased after the backup was made. The loader skips their spooled beacons."""
    installs: dict[Plane, list[int]] = {"usage": decisions.usage, "license": decisions.license}
    for plane, retired in installs.items():
        if retired:
            lines = [msgspec.json.encode({"install": install}) for install in retired]
            table = install_data.RETIRED[plane]
            engine.of(table).insert(table, lines, f"restore {attempt} {table}")
            for first in range(0, len(retired), MOST_ERASED):
                install_data.erase(engine, {plane: retired[first : first + MOST_ERASED]})
    epochs = dict(engine.query("SELECT who, max(epoch) FROM install_states GROUP BY who"))
    if since := [who for who, epoch, *_ in decisions.states if epoch > epochs.get(who, 0)]:
        install_data.erase(engine, {}, since)


def _spool(home: Home, copy: Path, decisions: Kept | None) -> int:
    """Put the spool in place. Returns how many beacons wait in it."""
    aside = home.path / "restoring.sqlite"
    for leftover in home.path.glob(f"{aside.name}*"):
        leftover.unlink()
    copy_file(copy, aside)
    filed = folder_of(home.spool)
    for name in sorted(files_of(copy)):  # before the spool's file, which needs them
        filed.mkdir(mode=0o700, exist_ok=True)
        copy_file(folder_of(copy) / name, filed / name)
    if filed.exists():
        sync_folder(filed)
    spool = Spool(aside)
    # The new database knows no earlier tokens: under its old ids an unfinished batch would be summed twice.
    spool.renumber()
    store = RequestStore(spool)
    store.repeat_deletions()
    if decisions is not None:
        store.restore(decisions, time.time())
    spooled = spool.stats().beacons
    spool.checkpoint()
    spool.close()
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    aside.rename(home.spool)
    sync_folder(home.path)
    return spooled
