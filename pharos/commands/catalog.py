"""`pharos catalog`: check the catalog, the file that lists what may be stored."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from core.catalog import CatalogError, read
from pharos.context import load_settings, open_home


@click.group()
def catalog() -> None:
    """The catalog of what may be stored: modules, features, license sources."""


@catalog.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def catalog_check(file: Path | None) -> None:
    """Check FILE, or by default the current catalog. Exit status 1 if it cannot be used.

    Lists entries that have expired or expire in the next 30 days.
    """
    if file is None:
        settings = load_settings()
        file = Path(settings.catalog) if settings.catalog else open_home(settings).catalog
        if not settings.catalog and not file.exists():
            click.echo(f"{file} does not exist: every valid value is stored")
            return
    try:
        found = read(file)
    except CatalogError as error:
        for problem in error.problems:
            click.echo(f"{file}: {problem}", err=True)
        sys.exit(1)
    today = datetime.now(UTC).date()
    for entry in found.expiring(today):
        verb = "expired after" if entry.expired(today) else "expires after"
        click.echo(f"{entry.kind} {entry.name} {verb} {entry.expires}; owner: {entry.owner}")
    click.echo(f"{file}: {found}")
