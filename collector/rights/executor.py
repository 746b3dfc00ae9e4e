"""Carries out owners' requests about their data: access, erase, rectify, object, restrict and lift.

The loader does not wait for a deletion: it starts the deletion in ClickHouse and continues. A request is done when
ClickHouse has finished its deletion. An erasure is done when the deleted rows are also off the disk. Waiting requests
share one deletion in each table. A request about an install without data costs no deletion. A step that is interrupted
is repeated.
"""

import logging
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import msgspec

from collector.planes import encode, legible
from collector.rights import restriction
from collector.rights.encryption import encrypt
from collector.rights.exchange import Exchange
from collector.rights.request_store import DELETING, Request, RequestStore, edition, names, retired
from warehouse import install_data
from warehouse.corrections import Correction, correct
from warehouse.engine import ContentError, Engine, EngineError
from warehouse.licensing import state_rows
from warehouse.plane_tables import Plane

MOST_AT_ONCE = 1000
# The number of requests at once that read rows into this process, because the loader waits for them.
MOST_READ = 20
READING = ("access", "restrict", "lift")

log = logging.getLogger("pharos.rights")


class RightsExecutor:
    """Carries out the requests of one spool, for its loader."""

    def __init__(self, store: RequestStore, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._exchange = Exchange(store, engine, clock)
        self._deleting = [request for request in store.pending() if request.step == DELETING]
        # The data that must leave the disk before `_deleting` is done. None while ClickHouse still deletes.
        self._leaving: set[tuple[str, ...]] | None = None
        self._covered = False
        self._stated: list[int] = []

    def deleting(self) -> set[int]:
        """Return the pseudonyms of the license plane whose rows ClickHouse is deleting.

        After a lift it deletes the sealed copies alone: the install is whole again, and a pass must write its states.
        """
        return {request.work["license"] for request in self._deleting if request.action in ("erase", "restrict")}

    def take_stated(self) -> list[int]:
        """Return the installs of the license plane whose owner stated something since the last call."""
        stated, self._stated = self._stated, []
        return stated

    def step(self) -> bool:
        """Carry out the requests that are ready; returns whether any was finished. Retry after `EngineError`."""
        finished = self._finish_deleting()
        return self._begin() or finished

    def exchange(self) -> None:
        """Share new requests and decisions, and store the decisions of other collectors."""
        self._exchange.run()

    def _begin(self) -> bool:
        """Finish the requests without a deletion. Start the others when the previous deletions are done."""
        ready = self._look_up(self._store.ready(MOST_AT_ONCE))
        ready = [request for request in ready if not (self._deleting and _takes_deletion(request))]
        reading = [request for request in ready if request.held and request.action in READING]
        ready = [request for request in ready if request not in reading[MOST_READ:]]
        self._forget_erasures([request for request in ready if request.action == "erase" and not request.held])
        self._exchange.share([request.work["who"] for request in ready])
        now = [request for request in ready if not _takes_deletion(request)]
        for request in now:
            self._attempt(request, self._answer)
        self._change([request for request in ready if _takes_deletion(request)])
        return bool(now)

    def _answer(self, request: Request) -> None:
        """Finish a request that needs no deletion."""
        if request.action == "rectify":
            self._state(request)
        result = self._access(request) if request.action == "access" else b""
        self._store.finish([request], "done", self._clock(), result)

    def _look_up(self, requests: list[Request]) -> list[Request]:
        """Return the requests with `held` set: whether there is data about the install."""
        unknown = [request for request in requests if request.held is None]
        if not unknown:
            return requests
        held = {
            plane: self._holding(plane, {name for each in unknown for name in names(each.work, plane)})
            for plane in install_data.TABLES
        }
        sealed = install_data.holding_sealed(self._engine, {each.work["who"] for each in unknown})
        found = {
            each.id: replace(
                each,
                held=any(name in held[plane] for plane in held for name in names(each.work, plane))
                or each.work["who"] in sealed,
            )
            for each in unknown
        }
        self._store.mark_held(found.values())
        return [found.get(request.id, request) for request in requests]

    def _holding(self, plane: Plane, installs: set[int]) -> set[int]:
        aside = self._store.quarantined(plane, installs)
        return install_data.holding(self._engine, plane, installs) | {
            msgspec.json.decode(row)["install"] for _, row in aside
        }

    def _forget_erasures(self, erasures: list[Request]) -> None:
        """Drop the states of erased installs that have no data and sent no beacon since."""
        if not erasures:
            return
        held = {
            plane: self._holding(plane, {each.work["next"][plane] for each in erasures})
            for plane in install_data.TABLES
        }
        self._store.decisions.drop(
            (each.work["who"], each.work["version"], each.work["next"], each.after)
            for each in erasures
            if not any(each.work["next"][plane] in held[plane] for plane in held)
        )

    def _change(self, requests: list[Request]) -> None:
        """Insert the rows that requests add, then start their deletions and corrections in ClickHouse.

        `_finish_deleting` finishes the requests.
        """
        rows: dict[str, set[int]] = {}
        corrections: list[Correction] = []
        erasures = [request for request in requests if request.action == "erase"]
        for plane, table in install_data.RETIRED.items() if erasures else ():
            lines = [encode({"install": install}) for request in erasures for install in retired(request, plane)]
            self._engine.of(table).insert(table, sorted(lines), secrets.token_hex(16))
        begun = [
            request
            for request in requests
            if self._attempt(request, lambda request: self._prepare(request, rows, corrections))
        ]
        if rows:
            install_data.delete(self._engine, rows)
        if corrections:
            correct(self._engine, corrections)
        if begun:
            self._store.mark_deleting(begun)
            self._deleting, self._leaving, self._covered = begun, None, False

    def _prepare(self, request: Request, rows: dict[str, set[int]], corrections: list[Correction]) -> None:
        """Insert the rows that a request adds. Append its deletions to `rows` and its corrections to `corrections`."""
        work = request.work
        delete: list[tuple[str, int]] = []
        match request.action:
            case "erase":
                delete = _tables_of(work, install_data.ALL_TABLES)
                delete += [(table, work["who"]) for table in install_data.BY_WHO]
            case "restrict":
                restriction.seal(self._engine, work)
                delete = _tables_of(work, install_data.TABLES)
            case "lift":
                restriction.lift(self._engine, work)
                delete = [(table, work["who"]) for table in install_data.BY_WHO]
            case "rectify":
                self._state(request)
                columns = work["corrections"]["usage"]
                corrections.append(Correction(work["usage"], work["module"], columns, edition(work), work["later"]))
        for table, install in delete:
            rows.setdefault(table, set()).add(install)

    def _attempt(self, request: Request, action: Callable[[Request], None]) -> bool:
        """Run an action on a request; returns whether it succeeded. A request that cannot succeed is `failed`."""
        try:
            action(request)
        except ContentError:
            log.exception("a request for %s cannot be carried out", request.action)
        except EngineError:
            raise
        except Exception as error:
            log.error("a request for %s failed: %s", request.action, type(error).__name__)
        else:
            return True
        self._store.finish([request], "failed", self._clock())
        return False

    def _finish_deleting(self) -> bool:
        """Finish the started requests when ClickHouse has deleted the rows and their bytes are off the disk."""
        if not self._deleting or install_data.deleting(self._engine):
            return False
        if not self._covered:
            # ClickHouse stores the last statement of a table. Replace it with one that names no install.
            install_data.delete(self._engine, dict.fromkeys(install_data.CHANGED, ()))
            self._covered = True
            return False
        erasing = any(request.action == "erase" for request in self._deleting)
        left = install_data.left_on_disk(self._engine) if erasing else set()
        self._leaving = left if self._leaving is None else self._leaving & left
        if self._leaving:
            return False
        for request in self._deleting:
            if request.action == "erase":
                for plane in install_data.TABLES:
                    for id, _ in self._store.quarantined(plane, {request.work[plane]}):
                        self._store.spool.drop_quarantined(id)
        self._store.finish(self._deleting, "done", self._clock())
        self._deleting = []
        self._store.spool.checkpoint()
        return True

    def _access(self, request: Request) -> bytes:
        work, held = request.work, {}
        for plane in install_data.TABLES:
            rows = {
                table: self._rows(table, names(work, plane, table)) if request.held else []
                for table in install_data.ALL_TABLES[plane]
            }
            aside = self._store.quarantined(plane, {work[plane]})
            rows["quarantine"] = [msgspec.json.decode(row) for _, row in aside]
            held[plane] = _legible(rows)
        sealed = restriction.sealed_rows(self._engine, work) if request.held else []
        months = restriction.sealed_aggregates(self._engine, work) if request.held else {}
        return encrypt(
            bytes.fromhex(work["result_key"]),
            {
                **held,
                "sealed": [{plane: row and legible(row) for plane, row in rows.items()} for rows in sealed],
                "sealed_months": _legible(months),
                "decisions": work["decisions"],
            },
        )

    def _rows(self, table: str, installs: Collection[int]) -> list[dict[str, Any]]:
        """Return what a table has of these installs, the states of the license plane unsealed."""
        if table == state_rows.TABLE:
            return state_rows.reports(self._engine, installs)
        return install_data.rows(self._engine, table, *installs)

    def _state(self, request: Request) -> None:
        """Store the owner's statement about module and license beside the sightings."""
        work = request.work
        statement = work["corrections"]["license"]
        if request.held and statement and install_data.holding(self._engine, "license", {work["license"]}):
            row = {"install": work["license"], "module": work["module"], "stated": request.received, **statement}
            statements = install_data.STATEMENTS
            self._engine.of(statements).insert(statements, [encode(row)], work["batches"]["license"])
            self._stated.append(work["license"])


def _legible(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {table: [legible(row) for row in rows] for table, rows in tables.items()}


def _takes_deletion(request: Request) -> bool:
    if not request.held or request.action in ("access", "object"):
        return False
    return request.action != "rectify" or bool(request.work["corrections"]["usage"])


def _tables_of(work: dict[str, Any], tables: dict[Plane, tuple[str, ...]]) -> list[tuple[str, int]]:
    return [(table, name) for plane in tables for table in tables[plane] for name in names(work, plane, table)]
