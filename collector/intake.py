"""What becomes of a beacon by the catalog and by what its install's owner decided: stored, sealed, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from collector.declared import Dropped, declared
from collector.planes import Planes, Split
from collector.spool import Row
from collector.standing import Standing, Standings
from warehouse.catalog import Catalog


@dataclass(frozen=True)
class Taken:
    """A beacon, split; `row` as the spool takes it, None when nothing of it may be stored.

    `dropped` is what the catalog left out.
    """

    split: Split
    standing: Standing
    row: Row | None
    reason: str
    dropped: Dropped

    @property
    def undeclared(self) -> bool:
        """Whether the catalog does not let its module in."""
        return "module" in self.dropped and not self.standing.objected


class Intake:
    """Splits beacons under one root secret, the standings of a spool, and the catalog that is in force."""

    def __init__(self, planes: Planes, standings: Standings, catalog: Callable[[], Catalog]) -> None:
        self._planes, self._standings, self._catalog = planes, standings, catalog

    def take(
        self, beacons: list[dict[str, Any]], address: str, now: datetime, *, keep_date: bool = False
    ) -> tuple[list[Taken], int]:
        """Split validated beacons (as `Planes.split`); returns them with the version of the decisions it was under."""
        version = self._standings.version  # before the standings: if they change meanwhile, it is the older one
        catalog = self._catalog()
        return [self._take(beacon, catalog, address, now, keep_date) for beacon in beacons], version

    def refresh(self) -> None:
        """Learn what was decided since."""
        self._standings.refresh()

    def _take(self, beacon: dict[str, Any], catalog: Catalog, address: str, now: datetime, keep_date: bool) -> Taken:
        beacon, dropped = declared(beacon, catalog, now.date())
        install_id = beacon["install_id"]
        standing = self._standings.of(self._planes.who(install_id))
        split = self._planes.split(beacon, address, now, epoch=standing.epoch, keep_date=keep_date)
        if standing.objected or split.sent <= standing.erased or "module" in dropped:
            row = None
        else:
            row = self._planes.sealed(split, install_id) if standing.restricted else split.row()
        return Taken(split, standing, row, beacon.get("reason", "heartbeat"), dropped)
