"""`pharos demo`: fill a home with a synthetic fleet through validation, planes and spool, like an import."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from collector.planes import Planes
from core.catalog import watch
from core.home import Home, HomeError
from core.settings import Settings
from pharos.imports import Importer
from pharos.synthetic_fleet import beacons
from pharos.synthetic_vendor import VENDOR, catalog, country


def fill(
    settings: Settings, home: Home, seed: int, installs: int, days: int, today: date, progress: Callable[[int], None]
) -> None:
    """Store the fleet's beacons of the `days` up to `today`. A second call changes nothing.

    Raises `HomeError` for a home with other data.
    """
    mark = home.synthetic
    if home.spool.exists() and not mark.exists():
        raise HomeError(f"{home.path} contains real data: the demo needs a separate home")
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
    now = datetime.now(UTC)
    for beacon in beacons(seed, installs, days, date.fromisoformat(end), world=VENDOR):
        if datetime.fromisoformat(beacon["sent_at"]) > now:
            break  # beacons are in time order, and the day is not over
        importer.beacon(beacon)
        progress(1)
    importer.flush()
    importer.close()
    mark.write_text(end)
