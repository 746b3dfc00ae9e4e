"""`pharos backup`: copy a home and its database while they are in use.

The backup copies the spool with its filed duplicate ids first, then the tables. Beacons that are loaded in between are
in both and count once after a restore, because the loader skips rows that the tables have. In the other order they
would be in neither.
"""

import contextlib
import gzip
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from collector.spool.duplicates import files_of, folder_of, unlinking
from core.home import Home, HomeError, copy_file, fingerprint, put, sync_folder
from core.settings import Settings
from pharos import manifest
from pharos.manifest import BackupError, File, Manifest
from warehouse import export_socket
from warehouse.engine import Engine
from warehouse.export import Contents, EngineTables, Source

# Called with the number of rows done and the total.
Progress = Callable[[int, int], None]


def backup(
    settings: Settings, home: Home, folder: Path, progress: Progress, *, tables: bool, with_secret: bool
) -> Manifest:
    """Write a backup into the empty or new `folder`. Without `tables` it contains only the home.

    It contains the root secret only `with_secret`: together with the rows, the secret would reveal their installs.

    Raises `BackupError`, `HomeError` and `EngineError`, and then leaves nothing in the folder.
    """
    folder = folder.absolute()
    if folder.resolve().is_relative_to(home.path.resolve()):
        raise BackupError("the backup must not be inside the home: it would be lost with the home")
    if not (home.spool.exists() or home.credentials.exists() or home.engine.exists() or settings.clickhouse_url):
        raise BackupError(f"{home.path} contains nothing to back up")
    if tables and not (home.engine.exists() or settings.clickhouse_url):
        raise BackupError("the home contains no tables: set PHAROS_CLICKHOUSE_URL, or leave them out (--home-only)")
    with _backup_lock(home), _cleared_on_error(folder):
        files = list(_home_files(home, folder, with_secret))
        contents, parts = Contents("", {}, []), []
        if tables:
            with _source(settings, home) as source:
                contents = source.contents()
                parts = list(_tables(source, contents, folder / "tables", progress))
        whole = Manifest(
            format=manifest.FORMAT,
            pharos=version("pharos"),
            made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            fingerprint=_fingerprint(settings, home),
            tables=tables,
            clickhouse=contents.clickhouse,
            migrations=contents.migrations,
            files=files + parts,
        )
        manifest.write(folder, whole)
    return whole


def _backup_lock(home: Home) -> contextlib.AbstractContextManager[object]:
    try:
        return home.lock("backup")
    except HomeError:
        raise BackupError(f"another backup of {home.path} is running") from None


@contextlib.contextmanager
def _cleared_on_error(folder: Path) -> Iterator[None]:
    """Create a private folder, and empty it if the body fails: a partial backup is useless and confidential.

    It then removes a folder that was not there before.
    """
    new = not folder.exists()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BackupError(f"{folder} is not empty")
        folder.chmod(0o700)
        (folder / "tables").mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(f"{folder} cannot be used: {error.strerror}") from None
    try:
        yield
    except BaseException as error:
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError | sqlite3.Error):
            raise BackupError(f"the backup cannot be written: {getattr(error, 'strerror', '') or error}") from None
        raise


def _home_files(home: Home, folder: Path, with_secret: bool) -> Iterator[File]:
    """Copy the files. The secret follows the spool, because the secret is older than every beacon in the spool."""
    secret = [home.secret] if with_secret else []
    for path in (home.spool, home.credentials, home.access_log, home.dashboard, *secret, home.synthetic, home.catalog):
        if not path.exists():
            continue
        if path == home.spool:
            yield from _spool(path, folder)
            continue
        if path.suffix == ".sqlite":
            _snapshot(path, folder / path.name)
        else:
            put(folder / path.name, path.read_bytes())
        yield manifest.describe(folder, path.name)


def _spool(path: Path, folder: Path) -> Iterator[File]:
    """Copy the spool's file, then the filed duplicate ids that it names. These stay in place meanwhile."""
    with unlinking(path, wait=True):
        _snapshot(path, folder / path.name)
        yield manifest.describe(folder, path.name)
        names = sorted(files_of(folder / path.name))
        filed = folder_of(folder / path.name)
        if names:
            filed.mkdir(mode=0o700)
        for name in names:
            copy_file(folder_of(path) / name, filed / name)
            yield manifest.describe(folder, f"{filed.name}/{name}")
    if names:
        sync_folder(filed)


def _snapshot(path: Path, copy: Path) -> None:
    """Copy a consistent snapshot while others write, without free pages: after a backlog most pages are free."""
    copy.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    with copy.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def _source(settings: Settings, home: Home) -> Iterator[Source]:
    """Return the source of the tables: the engine, or the running process that owns the embedded engine."""
    if not settings.clickhouse_url and (export_socket.lends(home) or _serves(home)):
        yield export_socket.ExportClient(home)
        return
    engine = Engine(settings, home)
    try:
        yield EngineTables(engine)
    finally:
        engine.close()


def _serves(home: Home) -> bool:
    """Whether `pharos serve` runs. If the engine's owner does not respond, it is starting and needs the free engine."""
    return home.is_locked("serve")


def _tables(source: Source, contents: Contents, folder: Path, progress: Progress) -> Iterator[File]:
    done, total = 0, sum(part.rows for part in contents.parts)
    progress(done, total)
    for part in contents.parts:
        path = folder / f"{part.name}.native.gz"
        put(path, gzip.compress(source.read(part), 1, mtime=0))
        yield manifest.describe(folder.parent, f"{folder.name}/{path.name}", part)
        done += part.rows
        progress(done, total)
    sync_folder(folder)


def _fingerprint(settings: Settings, home: Home) -> str:
    """Return the fingerprint of the root secret, "" for a home without one (a new home, or a loader's)."""
    known = settings.secret or home.secret.exists()
    return fingerprint(home.root_secret(settings)) if known else ""
