"""`pharos catalog`: what may be stored, and whether the file that says so can be used."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from core.catalog import CatalogError, place, read
from pharos.context import load_settings, open_home


@click.group()
def catalog() -> None:
    """The catalog of what may be stored: modules, features, license sources."""


@catalog.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def catalog_check(file: Path | None) -> None:
    """Check FILE, or else the catalog that is in force: exit status 1 if it cannot be used.

    Lists what has expired, and what does so in the next 30 days.
    """
    if file is None:
        settings = load_settings()
        file = place(settings, open_home(settings))
        if not settings.catalog and not file.exists():
            click.echo(f"{file} is not there: all that fits the rules of the fields is stored")
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
        click.echo(f"{entry.kind} {entry.name} {verb} {entry.expires}; it is owned by {entry.owner}")
    click.echo(f"{file}: {found}")
