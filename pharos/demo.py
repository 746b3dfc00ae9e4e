"""`pharos demo`: fill a home with a synthetic fleet and a license registry, through the spool, like an import."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime

from collector.license_rows import LicenseRows, encode
from collector.planes import Planes
from collector.spool import Spool
from core.catalog import watch
from core.home import Home, HomeError
from core.settings import Settings
from pharos.imports import Importer
from pharos.synthetic_fleet import beacons
from pharos.synthetic_licenses import Licenses
from pharos.synthetic_vendor import VENDOR, catalog, country
from warehouse import export
from warehouse.engine import Engine
from warehouse.licensing import states_key


def fill(
    settings: Settings, home: Home, seed: int, installs: int, days: int, today: date, progress: Callable[[int], None]
) -> None:
    """Store the fleet's beacons of the `days` up to `today`. A second call changes nothing.

    Raises `HomeError` for a home or a database with other data, and `EngineError`.
    """
    mark = home.synthetic
    if home.spool.exists() and not mark.exists():
        raise HomeError(f"{home.path} contains real data: the demo needs a separate home")
    if settings.clickhouse_url:
        _require_own_database(settings, home)
    # Write the mark before the first beacon, so that synthetic data is never shown as real. With the day in the mark an
    # interrupted fill continues with the same fleet, whose beacons are then duplicates.
    if not mark.exists():
        mark.write_text(f"{today.isoformat()} filling")
    end, _, filling = mark.read_text().partition(" ")
    if not filling:
        return
    if not settings.catalog and not home.catalog.exists():
        home.catalog.write_text(catalog(date.fromisoformat(end)))
    importer = Importer(Planes(home.root_secret(settings), country), home, watch(settings, home))
    now, licenses = datetime.now(UTC), Licenses()
    for beacon in beacons(seed, installs, days, date.fromisoformat(end), world=VENDOR):
        if datetime.fromisoformat(beacon["sent_at"]) > now:
            break  # beacons are in time order, and the day is not over
        importer.beacon(licenses.applied(beacon))
        progress(1)
    importer.flush()
    importer.close()
    rows_of = LicenseRows(home.root_secret(settings))
    with closing(Spool(home.spool)) as spool:
        spool.store_licenses([encode(rows_of.row(row, now)) for row in licenses.registry()])
    mark.write_text(end)


def _require_own_database(settings: Settings, home: Home) -> None:
    """Raise `HomeError` if the database of the settings has rows of another home."""
    with closing(Engine(settings, home)) as engine:
        other = states_key.is_of_another(engine) if home.synthetic.exists() else export.has_rows(engine)
    if other:
        raise HomeError(
            f"the database {engine.database} of PHAROS_CLICKHOUSE_URL contains other data: the demo needs an empty "
            "database, or no PHAROS_CLICKHOUSE_URL"
        )
