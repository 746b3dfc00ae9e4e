"""Carries out what owners ask about their data: access, erasure, rectification, objection, restriction, and its end.

Each action may be cut off anywhere and is then done again from the step that was noted: what is inserted has a batch
id that was fixed with the request, so that ClickHouse takes it once, and what is deleted may be deleted twice.
"""

import logging
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from collector.batch_insert import insert_batch
from collector.planes import encode, sealed_row
from collector.rights.encryption import decrypt, encrypt
from collector.rights.install_states import InstallState
from collector.rights.request_store import Request, RequestStore
from warehouse import install_data
from warehouse.engine import ContentError, Engine, EngineError

MOST_ERASURES = 1000
OVERLAP_SECONDS = 300.0

log = logging.getLogger("pharos.rights")

Rows = dict[install_data.Plane, list[dict[str, Any]]]


class RightsExecutor:
    """Carries out the requests of one register, for the loader."""

    def __init__(self, store: RequestStore, engine: Engine) -> None:
        self._store, self._engine = store, engine
        self._learned = float("-inf")

    def execute(self, request: Request) -> None:
        """Carry out the oldest request; all beacons before it are loaded. Raises `EngineError`: try again."""
        try:
            result = getattr(self, f"_{request.action}")(request)
        except ContentError:
            log.exception("a request for %s cannot be carried out", request.action)
            self._store.finish([request], "failed", time.time())
        except EngineError:
            raise
        except Exception as error:
            # It must not hold up all that came after it.
            log.error("a request for %s failed: %s", request.action, type(error).__name__)
            self._store.finish([request], "failed", time.time())
        else:
            if request.action != "erase":
                self._store.finish([request], "done", time.time(), result or b"")

    def _access(self, request: Request) -> bytes:
        work = request.work
        held: dict[str, Any] = {
            plane: {table: install_data.rows(self._engine, table, work[plane]) for table in install_data.TABLES[plane]}
            for plane in install_data.TABLES
        }
        for plane in install_data.TABLES:
            held[plane]["quarantine"] = [
                msgspec.json.decode(row) for _, row in self._store.quarantined(plane, {work[plane]})
            ]
        held["sealed"] = self._unsealed(work)
        held["decisions"] = work["standing"]
        return encrypt(bytes.fromhex(work["result_key"]), held)

    def _erase(self, request: Request) -> None:
        """Erase, together with the erasures that follow: a deletion costs the table, not the install."""
        erasures = [request]
        for following in self._store.pending(MOST_ERASURES)[1:]:
            if following.action != "erase" or not self._store.spool.loaded_up_to(following.after):
                break
            erasures.append(following)
        installs = {plane: sorted({each.work[plane] for each in erasures}) for plane in install_data.TABLES}
        for plane in installs:
            lines = [encode({"install": install}) for install in installs[plane]]
            self._engine.insert(install_data.RETIRED[plane], lines, token=request.work["batches"][plane])
        install_data.erase(self._engine, installs, sorted({each.work["who"] for each in erasures}))
        for plane in installs:
            for id, _ in self._store.quarantined(plane, set(installs[plane])):
                self._store.spool.drop_quarantined(id)
        self._store.finish(erasures, "done", time.time())
        self._store.spool.checkpoint()

    def _rectify(self, request: Request) -> None:
        work = request.work
        if request.step == "":
            held = self._raw_rows(work)
            work["rows"] = {plane: [_corrected(row, plane, work) for row in held[plane]] for plane in held}
            self._store.save_step(request, "staged", work)
        if request.step in ("", "staged"):
            install_data.erase(self._engine, {plane: [work[plane]] for plane in install_data.TABLES})
            self._store.save_step(request, "erased", work)
        self._insert(work, work["rows"])

    def _restrict(self, request: Request) -> None:
        work = request.work
        key = bytes.fromhex(work["sealing_key"])
        held = self._raw_rows(work)
        lines = [encode(sealed_row(key, work["who"], row, None)) for row in held["usage"]]
        lines += [encode(sealed_row(key, work["who"], None, row)) for row in held["license"]]
        insert_batch(self._engine, "sealed", work["batches"]["sealed"], lines)
        install_data.erase(self._engine, {plane: [work[plane]] for plane in install_data.TABLES})

    def _lift(self, request: Request) -> None:
        rows: Rows = {"usage": [], "license": []}
        for each in self._unsealed(request.work):
            for plane in rows:
                if each[plane]:
                    rows[plane].append(each[plane])
        # Another collector may have sealed the same beacon too.
        self._insert(
            request.work, {plane: list({row["beacon"]: row for row in rows[plane]}.values()) for plane in rows}
        )
        install_data.erase(self._engine, {}, [request.work["who"]])

    def _object(self, request: Request) -> None:
        """Nothing is left to do: the collector stores nothing more since the request was."""

    def _raw_rows(self, work: dict[str, Any]) -> Rows:
        return {
            plane: [
                {name: value for name, value in row.items() if name != "mark"}
                for row in install_data.rows(self._engine, install_data.TABLES[plane][0], work[plane])
            ]
            for plane in install_data.TABLES
        }

    def _insert(self, work: dict[str, Any], rows: Rows) -> None:
        for plane in rows:
            insert_batch(self._engine, plane, work["batches"][plane], sorted(encode(row) for row in rows[plane]))

    def _unsealed(self, work: dict[str, Any]) -> list[dict[str, Any]]:
        key = bytes.fromhex(work["sealing_key"])
        found = []
        for _, sealed, sealed_ip in install_data.sealed(self._engine, work["who"]):
            rows = decrypt(key, sealed)
            if rows["license"]:
                # After 30 days the addresses are gone.
                rows["license"] |= decrypt(key, sealed_ip) if sealed_ip else {"ip": "", "ip_claim": ""}
            found.append(rows)
        return found

    def exchange(self) -> None:
        """Tell other collectors and the dashboard what is new here, and learn what was decided at others."""
        requests, standings = self._store.unshared()
        now = time.time()
        if requests:
            lines = [
                encode({
                    "id": each.public, "action": each.action, "state": each.state, "received": each.received,
                    "done": each.done, "written": _moment(now),
                })
                for each in requests
            ]  # fmt: skip
            self._engine.insert("rights_requests", lines, token=secrets.token_hex(16))
        if standings:
            lines = [
                encode({
                    "who": who, "epoch": each.epoch, "erased": _moment(max(each.erased, 0.0)),
                    "objected": each.objected, "restricted": each.restricted, "changed": _moment(changed),
                })
                for who, each, changed in standings
            ]  # fmt: skip
            self._engine.insert("standings", lines, token=secrets.token_hex(16))
        if requests or standings:
            self._store.mark_shared(requests, standings)
        self._learn(now)

    def _learn(self, now: float) -> None:
        found = self._engine.query(
            "SELECT who, argMax((epoch, toUnixTimestamp64Milli(erased), objected, restricted), changed) AS newest, "
            "toUnixTimestamp64Micro(max(changed)) FROM standings "
            "WHERE changed > fromUnixTimestamp64Micro({since:Int64}) GROUP BY who",
            {"since": int(max(self._learned - OVERLAP_SECONDS, 0.0) * 1e6)},
        )
        self._store.learn(
            [
                (who, InstallState(epoch, erased / 1e3 if erased else float("-inf"), bool(o), bool(r)), changed / 1e6)
                for who, (epoch, erased, o, r), changed in found
            ]
        )
        self._learned = now


def _corrected(row: dict[str, Any], plane: install_data.Plane, work: dict[str, Any]) -> dict[str, Any]:
    if work["module"] and row["module"] != work["module"]:
        return row
    return {**row, **work["corrections"][plane]}


def _moment(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
