"""`pharos licenses`: import and export the registry of license keys."""

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import click

from collector.license_rows import COLUMNS, MOST_ROWS, LicenseRows, encode
from collector.spool import Spool, Unavailable
from collector.validate import Reason, Rejected
from core.home import Home
from core.license_keys import key_hash
from core.settings import Settings
from pharos.context import fail, load_settings, open_home
from warehouse.engine import Engine, EngineError
from warehouse.export_socket import ExportClient, lends
from warehouse.licensing import registry
from warehouse.licensing.registry import Row


@click.group()
def licenses() -> None:
    """The license registry: which keys the vendor has issued, and in which state they are."""


@licenses.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
def licenses_import(file: Path) -> None:
    """Import FILE, a CSV file with a header line (- is standard input).

    Columns: key_hash or key, module, state, and as wanted max_installs, copies, source, valid_from, valid_until.
    Importing a file again changes nothing. Invalid lines are reported and left out.
    """
    settings = load_settings()
    home = open_home(settings, existing=False)
    rows_of = LicenseRows(home.root_secret(settings))
    imported = rejected = 0
    waiting: list[bytes] = []
    spool = Spool(home.spool)
    try:
        with _open(file) as lines:
            for number, given in _lines(lines, file):
                try:
                    waiting.append(encode(rows_of.row(_hashed(given), datetime.now(UTC))))
                    imported += 1
                except Rejected as error:
                    rejected += 1
                    where = f" {error.path}" if error.path else ""
                    click.echo(f"{file}:{number}: {error.reason}{where}: {error.detail}", err=True)
                if len(waiting) >= MOST_ROWS:
                    _store(spool, waiting)
            _store(spool, waiting)
    except (UnicodeDecodeError, csv.Error) as error:
        fail(f"{file} is not a CSV file in UTF-8: {type(error).__name__}")
    except Unavailable as error:
        fail(str(error))
    finally:
        spool.close()
    click.echo(f"imported={imported} rejected={rejected}")


def _open(file: Path) -> IO[str]:
    if str(file) == "-":
        return open(sys.stdin.fileno(), encoding="utf-8-sig", newline="", closefd=False)
    return file.open(encoding="utf-8-sig", newline="")


def _lines(lines: IO[str], file: Path) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield each line with its number. Exits if the header has an unknown column."""
    reader = csv.DictReader(lines)
    names = [name.strip() for name in reader.fieldnames or ()]
    if not {"key", "key_hash"} & set(names) or not {"module", "state"} <= set(names):
        fail(f"{file}: the first line must name the columns key_hash (or key), module and state")
    if unknown := set(names) - {*COLUMNS, "key"}:
        fail(f"{file}: unknown columns: {', '.join(sorted(unknown))}; known are key, {', '.join(COLUMNS)}")
    reader.fieldnames = names
    for given in reader:
        yield reader.line_num, given


def _hashed(given: dict[str, str | None]) -> dict[str, str | None]:
    """Return the values of a line, with the hash of a plain key in place of the key. Raises `Rejected`."""
    if None in given:
        raise Rejected(Reason.TOO_MANY_ITEMS, detail="the line has more values than the first line has columns")
    values = {name: (text or "").strip() or None for name, text in given.items()}
    key = values.pop("key", None)
    if key is not None:
        if values.get("key_hash") is not None:
            raise Rejected(Reason.UNKNOWN_FIELD, "key", "must be absent beside key_hash")
        values["key_hash"] = key_hash(key)
    return values


def _store(spool: Spool, rows: list[bytes]) -> None:
    if rows:
        spool.check_space()
        spool.store_licenses(rows)
        rows.clear()


@licenses.command("export")
def licenses_export() -> None:
    """Print the registry as CSV, as it is now, also with what is not loaded yet."""
    settings = load_settings()
    home = open_home(settings)
    rows_of = LicenseRows(home.root_secret(settings))
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    try:
        for row in _present(settings, home):
            writer.writerow(
                (
                    rows_of.key_hash(row.sealed), row.module, row.state, row.max_installs or "", row.copies, row.source,
                    row.valid_from or "", row.valid_until or "",
                )
            )  # fmt: skip
    except (EngineError, Unavailable) as error:
        fail(str(error))
    except ValueError:
        fail("the registry was written under another root secret")


def _present(settings: Settings, home: Home) -> list[Row]:
    spool = Spool(home.spool)
    try:
        waiting = spool.waiting_licenses()
    finally:
        spool.close()
    found = {(row.key, row.module): row for row in _loaded(settings, home)}
    for row in waiting:
        found[row.key, row.module] = row
    return [found[each] for each in sorted(found, key=lambda one: (one[1], one[0]))]


def _loaded(settings: Settings, home: Home) -> list[Row]:
    if not settings.clickhouse_url and (lends(home) or home.is_locked("serve")):
        return ExportClient(home).licenses()
    if not settings.clickhouse_url and not home.engine.exists():
        return []
    engine = Engine(settings, home)
    try:
        return registry.present(engine)
    finally:
        engine.close()
