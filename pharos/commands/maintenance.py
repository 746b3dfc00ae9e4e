"""`pharos recount`, `backup`, `restore` and `quarantine`: maintenance for the operator."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click
import msgspec

from core.home import HomeError
from pharos.context import become_home_owner, fail, load_settings, open_home


@click.command()
def recount() -> None:
    """Compare the aggregates with a recount of their rows. Exit status 1 if they differ, 2 if it cannot compare.

    With the embedded engine, stop Pharos first.
    """
    from warehouse.engine import Engine, EngineError
    from warehouse.recount import differences

    settings = load_settings()
    try:
        engine = Engine(settings, open_home(settings))
        found = differences(engine)
        engine.close()
    except (EngineError, HomeError) as error:
        click.echo(f"pharos: {error}", err=True)
        sys.exit(2)
    click.echo("\n".join(found) or "the aggregates equal a recount of their rows")
    sys.exit(1 if found else 0)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DEST")
@click.option("--home-only", is_flag=True, help="Leave out the tables, if another home's backup has them.")
@click.option("--with-secret", is_flag=True, help="Also copy the root secret from the home.")
def backup(folder: Path, home_only: bool, with_secret: bool) -> None:
    """Copy home and tables into the new folder DEST, with or without a running Pharos.

    Without the root secret a backup does not reveal whose rows it holds. A restore needs the secret. If root runs this,
    DEST belongs to the user that owns the home.
    """
    from pharos.backup import backup as run
    from pharos.manifest import BackupError
    from warehouse.engine import EngineError

    settings = load_settings()
    become_home_owner(settings, folder)
    try:
        with _progress("backup") as progress:
            home = open_home(settings)
            made = run(settings, home, folder, progress, tables=not home_only, with_secret=with_secret)
    except (BackupError, EngineError) as error:
        fail(str(error))
    if made.fingerprint and not made.of_home(home.secret.name):
        where = "PHAROS_SECRET" if settings.secret else home.secret
        click.echo(
            f"the root secret is not in the backup: keep a copy of {where} elsewhere, a restore needs it", err=True
        )
    click.echo(f"backed up files={len(made.files)} bytes={sum(file.size for file in made.files)}")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="SRC")
@click.option("--decisions", type=click.File("rb"), metavar="FILE", help="Latest output of `pharos rights decisions`.")
def restore(folder: Path, decisions: IO[bytes] | None) -> None:
    """Restore the backup SRC into a new home and an empty database. Stop Pharos first."""
    from collector.rights.request_store import Kept
    from pharos.manifest import BackupError
    from pharos.restore import restore as run
    from warehouse.engine import EngineError

    settings = load_settings()
    become_home_owner(settings)
    try:
        with _progress("restore") as progress:
            decided = msgspec.json.decode(decisions.read(), type=Kept) if decisions else None
            restored = run(settings, folder, progress, decided)
    except msgspec.DecodeError:
        fail("--decisions is not the output of pharos rights decisions")
    except (BackupError, EngineError) as error:
        fail(str(error))
    click.echo(f"restored beacons={restored.beacons} installs={restored.installs} spooled={restored.spooled}")


@contextlib.contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar over rows, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def tell(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield tell


@click.group()
def quarantine() -> None:
    """Rows that ClickHouse rejected because of their content."""


@quarantine.command("list")
def quarantine_list() -> None:
    """List rows: id, plane, time of receipt, error of ClickHouse."""
    from collector.spool import Spool

    for row in Spool(open_home().spool).quarantined():
        received = datetime.fromtimestamp(row.received, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        click.echo(f"{row.id}  {row.plane}  {received}  {row.error}")


@quarantine.command("retry")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
def quarantine_retry(ids: tuple[int, ...]) -> None:
    """Return rows to the loader."""
    from collector.spool import Spool

    spool = Spool(open_home().spool)
    _each(ids, spool.retry_quarantined)


@quarantine.command("drop")
@click.argument("ids", nargs=-1, required=True, type=int, metavar="ID...")
def quarantine_drop(ids: tuple[int, ...]) -> None:
    """Delete rows permanently."""
    from collector.spool import Spool

    spool = Spool(open_home().spool)
    _each(ids, spool.drop_quarantined)


def _each(ids: tuple[int, ...], action: Callable[[int], bool]) -> None:
    unknown = [str(id) for id in ids if not action(id)]
    if unknown:
        fail(f"not in quarantine: {', '.join(unknown)}")
