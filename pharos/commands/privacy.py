"""`pharos privacy`: measure linkage between the planes, and report the data for a breach notice."""

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from core.home import HomeError
from core.settings import Settings
from pharos.context import load_settings, open_home

_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def privacy() -> None:
    """Privacy reports: linkage between planes, data affected by a breach."""


@privacy.command("linkage")
@click.option("--days", type=click.IntRange(1, 400), default=7, show_default=True, help="Days to analyze, up to today.")
def privacy_linkage(days: int) -> None:
    """Report how many installs a reader of both planes could link without the root secret.

    Exit status 2 if the engine cannot be queried. With the embedded engine, stop Pharos first.
    """
    from warehouse.queries import linkage

    settings = load_settings()
    today = datetime.now(UTC).date()
    with _engine(settings) as engine:
        figures = linkage.figures(linkage.read(engine, today - timedelta(days=days - 1)), settings.k)
    click.echo(f"installs={figures[0].installs} days={days} k={settings.k}")
    for figure in figures:
        share = figure.exposed / figure.installs if figure.installs else 0.0
        click.echo(f"{figure.attack:<52} exposed={figure.exposed} ({share:.1%}) alone={figure.alone}")


@privacy.command("affected")
@click.option("--since", type=_DAY, required=True, help="First day of the span, UTC.")
@click.option("--until", type=_DAY, required=True, help="Last day of the span, UTC.")
def privacy_affected(since: datetime, until: datetime) -> None:
    """Report the data held in a span of days, for a breach notice.

    Exit status 2 if the engine cannot be queried. With the embedded engine, stop Pharos first.
    """
    from collector.spool import Spool
    from warehouse.queries.breach_report import affected

    if until < since:
        raise click.UsageError("--until is before --since")
    settings = load_settings()
    with _engine(settings) as engine:
        found = affected(engine, since.date(), until.date(), settings.k)
    few = f"fewer than {settings.k}"
    click.echo(f"held from {since.date()} to {until.date()}, by the day that a beacon counts on")
    click.echo(f"installs   {f'at least {found.installs}' if found.installs else few}")
    click.echo(f"beacons    {few if found.beacons is None else found.beacons}")
    for module, installs in found.modules.items():
        click.echo(f"module     {module}: installs {f'at least {installs}' if installs else few}")
    click.echo(
        f"addresses  {'included' if found.addresses else 'none'}: "
        f"beacons={found.addresses}, {found.with_address} of them still have one"
    )
    for held in found.tables:
        click.echo(f"table      {held.table}: rows={held.rows}: {', '.join(held.columns)}")
    stats = Spool(open_home(settings).spool).stats()
    click.echo(
        f"spool      now: beacons={stats.beacons}, of both planes, with addresses; quarantined={stats.quarantined}"
    )
    click.echo("secret     with the root secret and an install_id, its rows in both planes can be found")


@contextlib.contextmanager
def _engine(settings: Settings) -> Iterator[Any]:
    """Open the engine. Exit status 2 if it cannot be queried."""
    from warehouse.engine import Engine, EngineError

    try:
        engine = Engine(settings, open_home(settings))
        yield engine
        engine.close()
    except (EngineError, HomeError) as error:
        click.echo(f"pharos: {error}", err=True)
        sys.exit(2)
