"""Decides by the catalog and the owner's decisions whether a beacon is stored, sealed or dropped."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from collector.catalog_filter import Dropped, declared
from collector.planes import Planes, Split
from collector.rights.install_states import NONE, InstallState, InstallStates
from collector.spool import Basis, Row
from core.catalog import Catalog


class Processed(msgspec.Struct, frozen=True):
    """A split beacon. `row` is the row for the spool, or None if the beacon must not be stored.

    `dropped` counts the names that the catalog removed.
    """

    split: Split
    state: InstallState
    row: Row | None
    reason: str
    dropped: Dropped

    @property
    def undeclared(self) -> bool:
        """Whether the beacon was dropped because its module is not in the catalog."""
        return "module" in self.dropped and not self.state.objected


class Ingestion:
    """Splits beacons with one root secret, the install states of a spool, and the current catalog."""

    def __init__(self, planes: Planes, install_states: InstallStates, catalog: Callable[[], Catalog]) -> None:
        self._planes, self._install_states, self._catalog = planes, install_states, catalog

    def process(
        self, beacons: list[dict[str, Any]], address: str, now: datetime, *, keep_date: bool = False
    ) -> tuple[list[Processed], Basis]:
        """Split validated beacons (see `Planes.split`); returns them and the basis that they were split under."""
        installs = [self._planes.who(beacon["install_id"]) for beacon in beacons]
        states, basis = self._install_states.of(installs)
        catalog = self._catalog()
        processed = [
            self._process(beacon, states.get(who, NONE), catalog, address, now, keep_date)
            for beacon, who in zip(beacons, installs, strict=True)
        ]
        return processed, basis

    def refresh(self) -> None:
        """Read new decisions of owners."""
        self._install_states.refresh()

    def _process(
        self,
        beacon: dict[str, Any],
        state: InstallState,
        catalog: Catalog,
        address: str,
        now: datetime,
        keep_date: bool,
    ) -> Processed:
        beacon, dropped = declared(beacon, catalog, now.date())
        install_id = beacon["install_id"]
        split = self._planes.split(beacon, address, now, epoch=state.epoch, keep_date=keep_date)
        if state.objected or split.sent <= state.erased or "module" in dropped:
            row = None
        else:
            row = self._planes.sealed(split, install_id) if state.restricted else split.row()
        return Processed(split, state, row, beacon.get("reason", "heartbeat"), dropped)
