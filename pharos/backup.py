"""`pharos backup`: all that a home and its database hold, copied while they work.

First the spool, with the duplicate ids that were filed from it, then the tables. What is loaded in between is in both,
and counts once after a restore: the loader leaves out what the tables have. The other way round it would be in neither.
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
from core.home import Home, HomeError, copy_file, put, sync_folder
from core.settings import Settings
from pharos import manifest
from pharos.manifest import BackupError, File, Manifest
from warehouse import export_socket
from warehouse.engine import Engine
from warehouse.export import Contents, EngineTables, Source

# Rows that are done, and of how many.
Progress = Callable[[int, int], None]


def backup(
    settings: Settings, home: Home, folder: Path, progress: Progress, *, tables: bool, with_secret: bool
) -> Manifest:
    """Make the empty or new `folder` a backup, without `tables` one of the home alone.

    The root secret is in it only `with_secret`: beside the rows it would tell which install each of them is of.

    Raises `BackupError`, `HomeError` and `EngineError`, and then leaves nothing in the folder.
    """
    folder = folder.absolute()
    if folder.resolve().is_relative_to(home.path.resolve()):
        raise BackupError("a backup inside the home would be lost with it")
    if not (home.spool.exists() or home.credentials.exists() or home.engine.exists() or settings.clickhouse_url):
        raise BackupError(f"{home.path} holds nothing to back up")
    if tables and not (home.engine.exists() or settings.clickhouse_url):
        raise BackupError("there are no tables in the home: set PHAROS_CLICKHOUSE_URL, or leave them out (--home-only)")
    with _alone(home), _cleared_on_error(folder):
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


def _alone(home: Home) -> contextlib.AbstractContextManager[object]:
    try:
        return home.lock("backup")
    except HomeError:
        raise BackupError(f"another backup of {home.path} is being made") from None


@contextlib.contextmanager
def _cleared_on_error(folder: Path) -> Iterator[None]:
    """A folder for us alone, without anything in it when the body fails: what is half is of no use, and secret."""
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
        if isinstance(error, OSError | sqlite3.Error):
            raise BackupError(f"the backup cannot be written: {getattr(error, 'strerror', '') or error}") from None
        raise


def _home_files(home: Home, folder: Path, with_secret: bool) -> Iterator[File]:
    """Copy the files; the secret after the spool, for none of its beacons is older than the secret."""
    secret = [home.secret] if with_secret else []
    for path in (home.spool, home.credentials, home.access_log, *secret, home.synthetic, home.catalog):
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
    """The spool's file, then the duplicate ids that were filed when it was copied: what it names stays meanwhile."""
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
    """The file as of one moment, while others write it, and without its free pages: after a backlog they are most."""
    copy.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("VACUUM INTO ?", (str(copy),))
    with copy.open("rb") as file:
        os.fsync(file.fileno())


@contextlib.contextmanager
def _source(settings: Settings, home: Home) -> Iterator[Source]:
    """Where the tables can be read: where Pharos runs on the embedded engine, from the process that owns it."""
    if not settings.clickhouse_url and (export_socket.lends(home) or _serves(home)):
        yield export_socket.ExportClient(home)
        return
    engine = Engine(settings, home)
    try:
        yield EngineTables(engine)
    finally:
        engine.close()


def _serves(home: Home) -> bool:
    """Whether `pharos serve` runs: an owner that does not answer is being started, and must find the engine free."""
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
    """That of the root secret; of a home that has none yet, or none at all as that of a loader, ""."""
    known = settings.secret or home.secret.exists()
    return manifest.fingerprint(home.root_secret(settings)) if known else ""
