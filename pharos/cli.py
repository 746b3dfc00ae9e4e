"""The `pharos` command line."""

import errno
import logging.config
import os
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn

import click

from core import hang_up, logs, stop_signals
from core.access_log import AccessLogError
from core.catalog import CatalogError, watch
from core.credentials import CredentialError, Credentials, Role
from core.home import Home, HomeError, put
from core.settings import Bind, SettingError, Settings
from pharos.context import fail, load_settings, open_home, require_tables

_FULL = "no space is left on the disk of the home, or of the file that is written: free some, then try again"


def main() -> None:
    """Run the command line. An error that the user can fix is one line on stderr and exit status 1."""
    try:
        cli()
    except (SettingError, HomeError, CredentialError, AccessLogError, CatalogError) as error:
        fail(str(error))
    # Errors of the machine: a full or read-only disk, a file that is damaged or not accessible.
    except sqlite3.Error as error:
        # An error of the module, such as "database is closed", has no code.
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            fail(_FULL)
        fail(f"a file of the home cannot be used: {error}")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
            fail(_FULL)
        fail(f"{error.filename or 'the machine'}: {error.strerror}")


def _begin_service() -> None:
    """Set up a long-running command: logging, and signals: SIGHUP does not end it, a stop waits for its own handler."""
    hang_up.listen()
    stop_signals.hold()
    logging.Formatter.converter = time.gmtime
    logging.config.dictConfig(logs.config())


class _Commands(click.Group):
    """The commands here and those in `pharos.commands`, of which a command line imports only its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            found: click.Command = getattr(import_module(f"pharos.commands.{_ELSEWHERE[cmd_name]}"), cmd_name)
            return found
        return super().get_command(ctx, cmd_name)


# The modules of commands.
_ELSEWHERE = {
    "access": "credentials", "backup": "maintenance", "catalog": "catalog", "datasheet": "sdk", "keys": "credentials",
    "licenses": "licenses", "privacy": "privacy", "quarantine": "maintenance", "recount": "maintenance",
    "report": "report", "restore": "maintenance", "rights": "rights", "sdk": "sdk", "tokens": "credentials",
    "users": "credentials", "webhook": "webhook",
}  # fmt: skip


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pharos")
def cli() -> None:
    """Telemetry collector and dashboard for vendors of licensed modules."""
    logs.quiet_drivers()


@cli.command()
def serve() -> None:
    """Run collector, loader and dashboard until Ctrl-C or SIGTERM."""
    settings = load_settings()
    _serve(settings, *_take_home(settings))


def _take_home(settings: Settings) -> tuple[Home, IO[bytes]]:
    """Return the home and the lock that holds it. Exits if its parts could not start, or raises `HomeError`."""
    from pharos.serve import hold_home, meet

    if meet(settings.collector_bind, settings.dashboard_bind):
        fail("PHAROS_COLLECTOR_BIND and PHAROS_DASHBOARD_BIND are the same port: give one of them another")
    home = open_home(settings, service=True)
    lock = hold_home(settings, home)
    _check_bind("COLLECTOR", settings.collector_bind)
    _check_bind("DASHBOARD", settings.dashboard_bind)
    return home, lock


def _serve(settings: Settings, home: Home, lock: IO[bytes]) -> NoReturn:
    from collector.country import lookup
    from collector.spool import Spool
    from pharos.serve import serve as run

    home.root_secret(settings)  # a wrong one stops the start here, not in each part
    lookup(settings)
    watch(settings, home)
    Spool(home.spool).close()  # the parts start at the same time, and none may find it half made
    _begin_service()
    # Print the new credentials immediately: only hashes are stored, so a later failure would lose them.
    for line in _first_start(settings, home):
        click.echo(line)

    def ready() -> None:
        click.echo("Pharos is up. Ctrl-C stops it.")
        click.echo(f"  collector   http://{settings.collector_bind}")
        click.echo(f"  dashboard   http://{settings.dashboard_bind}")

    status = run(settings, home, ready)
    lock.close()
    sys.exit(status)


def _check_bind(part: str, bind: Bind) -> None:
    """Exit with one line if the address cannot be listened on."""
    from pharos.serve import cannot_listen

    if problem := cannot_listen(bind):
        fail(f"PHAROS_{part}_BIND {bind} cannot be used: {problem}")


def _first_start(settings: Settings, home: Home) -> Iterator[str]:
    """Create the first ingest key and the first admin if missing. Yields the lines to print."""
    credentials = Credentials(home.credentials)
    if credentials.keys():
        yield "  ingest key  shown at the first start; create another one with: pharos keys new"
        if settings.ingest_key and credentials.key(settings.ingest_key) is None:
            yield "  warning: PHAROS_INGEST_KEY is not a key of this home; only the first start creates it"
    else:
        yield f"  ingest key  {_first_key(settings, credentials)}"
    if credentials.users():
        yield "  login       shown at the first start; create another one with: pharos users add NAME --role admin"
    else:
        yield f"  login       admin  {_first_admin(settings, credentials)}"


def _first_key(settings: Settings, credentials: Credentials) -> str:
    """Create the first ingest key. Returns the text to print, without a given key: the output may end in a log."""
    key = credentials.add_key(key=settings.ingest_key or None)
    return "as given in PHAROS_INGEST_KEY" if settings.ingest_key else key


def _first_admin(settings: Settings, credentials: Credentials) -> str:
    password = credentials.add_user("admin", Role.ADMIN, settings.admin_password or None)
    return "with the password given in PHAROS_ADMIN_PASSWORD" if settings.admin_password else password


@cli.command()
def collector() -> None:
    """Run the collector alone."""
    from collector.country import lookup
    from collector.server import CollectorServer
    from collector.spool import Spool

    settings = load_settings()
    lookup(settings)
    home = open_home(settings, service=True)
    watch(settings, home)
    lock = home.lock("collector")
    home.root_secret(settings)
    _check_bind("COLLECTOR", settings.collector_bind)
    Spool(home.spool).close()  # an unusable spool stops the start here, not in each worker
    _begin_service()
    credentials = Credentials(home.credentials)
    if not credentials.keys():
        click.echo(f"ingest key  {_first_key(settings, credentials)}")
    _run_gunicorn(CollectorServer(settings, home, lock))


@cli.command()
def dashboard() -> None:
    """Run the dashboard alone; with the embedded engine, also the loader."""
    from dashboard.server import DashboardServer
    from pharos.serve import start_loader

    settings = load_settings()
    home = open_home(settings, service=True)
    lock = home.lock("dashboard")
    home.root_secret(settings)
    if not settings.clickhouse_url:
        # The worker takes these two locks. If another command holds them, stop here, not in each worker.
        for name in ("engine", "loader"):
            home.lock(name).close()
        require_tables(home)
    _check_bind("DASHBOARD", settings.dashboard_bind)
    _begin_service()
    credentials = Credentials(home.credentials)
    if not credentials.users():
        click.echo(f"login       admin  {_first_admin(settings, credentials)}")
    beside = None if settings.clickhouse_url else start_loader(settings, home)
    _run_gunicorn(DashboardServer(settings, home, lock, beside))


def _run_gunicorn(server: Any) -> None:
    sys.argv = ["pharos"]  # gunicorn would read our arguments as its own
    server.run()


@cli.command()
def load() -> None:
    """Run the loader alone (with PHAROS_CLICKHOUSE_URL)."""
    from pharos.serve import load as run

    settings = load_settings()
    _begin_service()
    run(settings, open_home(settings, service=True))


@cli.command()
@click.option(
    "--readers", type=click.Path(path_type=Path), metavar="FILE", help="Write PHAROS_CLICKHOUSE_READERS to FILE."
)
def migrate(readers: Path | None) -> None:
    """Update the database and its users."""
    from warehouse.engine import Engine, EngineError
    from warehouse.migrate import MigrationError
    from warehouse.migrate import migrate as run

    settings = load_settings()
    engine = Engine(settings, open_home(settings, existing=False))
    try:
        applied = run(engine)
        if readers:
            if not (passwords := engine.readers_passwords()):
                fail("no readers exist: they need a ClickHouse server on which Pharos may create users")
            put(readers.absolute(), f"{passwords}\n".encode())
    except (EngineError, MigrationError) as error:
        fail(str(error))
    finally:
        engine.close()
    click.echo("\n".join(f"applied {name}" for name in applied) or "the database is up to date")


@cli.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
def import_(files: tuple[str, ...]) -> None:
    """Import beacons from NDJSON FILEs (- is stdin; gzip is supported)."""
    from collector.country import lookup
    from collector.planes import Planes
    from collector.validate import Rejected
    from pharos.imports import Importer, open_lines

    settings = load_settings()
    home = open_home(settings, existing=False)
    importer = Importer(Planes(home.root_secret(settings), lookup(settings)), home, watch(settings, home))
    for name in files:

        def reject(number: int, rejected: Rejected, name: str = name) -> None:
            where = f" {rejected.path}" if rejected.path else ""
            click.echo(f"{name}:{number}: {rejected.reason}{where}: {rejected.detail}", err=True)

        try:
            with open_lines(name) as lines, _progress(name, lines) as progress:
                importer.lines(lines, reject, progress)
        except (OSError, EOFError, zlib.error) as error:
            click.echo(_counted(importer.counts))
            fail(f"{name} cannot be read: {error}")
    importer.close()
    if left_out := ", ".join(f"{kind} {times}" for kind, times in sorted(importer.counts.undeclared.items())):
        click.echo(f"not stored, because the catalog does not declare it: {left_out}", err=True)
    click.echo(_counted(importer.counts))


def _counted(counts: Any) -> str:
    return f"imported={counts.imported} duplicates={counts.duplicates} rejected={counts.rejected}"


class _progress:  # noqa: N801 - used as a function
    """A progress bar over a file's bytes, on a terminal, if the file's size is known."""

    def __init__(self, name: str, lines: Any) -> None:
        known = name != "-" and sys.stderr.isatty() and not hasattr(lines, "fileobj")
        size = Path(name).stat().st_size if known else 0
        self._bar: Any = click.progressbar(length=size, label=name, file=sys.stderr) if known else None

    def __enter__(self) -> Callable[[int], None]:
        if self._bar is None:
            return lambda size: None
        update: Callable[[int], None] = self._bar.__enter__().update
        return update

    def __exit__(self, *error: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*error)


@cli.command()
@click.option("--timeout", type=click.FloatRange(min=0), default=None, metavar="S", help="Give up after S seconds.")
def drain(timeout: float | None) -> None:
    """Wait until all beacons now in the spool are in the aggregates."""
    from collector.spool import Spool

    home = open_home()
    spool = Spool(home.spool)
    last = spool.stats().last
    deadline = None if timeout is None else time.monotonic() + timeout
    while not spool.loaded_up_to(last):
        if deadline is not None and time.monotonic() > deadline:
            fail(f"{spool.stats().beacons} beacons are not loaded after {timeout:g} s: {_why_not_loaded(home, spool)}")
        time.sleep(0.1)


def _why_not_loaded(home: Home, spool: Any) -> str:
    if not home.is_locked("loader"):
        return "no loader runs with this home; pharos serve or pharos load starts one"
    loading = spool.loading()
    if loading.since is None:
        return "the loader is at work"
    return f"loading has failed since {datetime.fromtimestamp(loading.since, UTC):%Y-%m-%dT%H:%M:%SZ}: {loading.why}"


@cli.command()
def doctor() -> None:
    """Check configuration, storage, engine and free space; exit status 1 if anything fails."""
    from pharos.checks import report
    from pharos.doctor import checks

    report(checks(os.environ))


@cli.command()
@click.argument("url")
@click.option("--key", envvar="PHAROS_INGEST_KEY", show_envvar=True, required=True, help="An ingest key.")
@click.option("--module", default="pharos_check", show_default=True, help="The module of the beacons: one of the key.")
def check(url: str, key: str, module: str) -> None:
    """Check a running collector at URL from outside; exit status 1 if anything fails. It stores no beacon."""
    from pharos.checks import report
    from pharos.deployment_check import checks

    report(checks(url, key, module))


@cli.command()
@click.option("--installs", default=1000, show_default=True, help="Number of installs.")
@click.option("--days", default=90, show_default=True, help="Number of days with reports.")
@click.option("--seed", default=1, show_default=True, help="Seed of the fleet.")
def demo(installs: int, days: int, seed: int) -> None:
    """Fill a separate home with a synthetic fleet, then serve it."""
    from collector.country import lookup
    from pharos.demo import fill
    from warehouse.engine import EngineError

    settings = load_settings()
    lookup(settings)  # a database that cannot be read stops the start before the fleet is made
    home, lock = _take_home(settings)
    with click.progressbar(length=installs * days, label="a synthetic fleet", file=sys.stderr) as bar:
        try:
            today = datetime.now(UTC).date()
            fill(settings, home, seed, installs, days, today, bar.update)
        except EngineError as error:
            fail(str(error))
    _serve(settings, home, lock)
