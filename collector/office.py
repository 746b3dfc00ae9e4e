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

from collector.batches import insert_batch
from collector.planes import encode, sealed_row
from collector.register import Register, Request
from collector.seal import seal, unseal
from collector.standing import Standing
from warehouse import rights
from warehouse.engine import ContentError, Engine, EngineError

MOST_ERASURES = 1000
OVERLAP_SECONDS = 300.0

log = logging.getLogger("pharos.rights")

Rows = dict[rights.Plane, list[dict[str, Any]]]


class Office:
    """Carries out the requests of one register, for the loader."""

    def __init__(self, register: Register, engine: Engine) -> None:
        self._register, self._engine = register, engine
        self._learned = float("-inf")

    def carry_out(self, request: Request) -> None:
        """Carry out the oldest request; all beacons before it are loaded. Raises `EngineError`: try again."""
        try:
            result = getattr(self, f"_{request.action}")(request)
        except ContentError:
            log.exception("a request for %s cannot be carried out", request.action)
            self._register.finish([request], "failed", time.time())
        except EngineError:
            raise
        except Exception as error:
            # It must not hold up all that came after it.
            log.error("a request for %s failed: %s", request.action, type(error).__name__)
            self._register.finish([request], "failed", time.time())
        else:
            if request.action != "erase":
                self._register.finish([request], "done", time.time(), result or b"")

    def _access(self, request: Request) -> bytes:
        work = request.work
        held: dict[str, Any] = {
            plane: {table: rights.rows(self._engine, table, work[plane]) for table in rights.TABLES[plane]}
            for plane in rights.TABLES
        }
        for plane in rights.TABLES:
            held[plane]["quarantine"] = [
                msgspec.json.decode(row) for _, row in self._register.quarantined(plane, {work[plane]})
            ]
        held["sealed"] = self._unsealed(work)
        held["decisions"] = work["standing"]
        return seal(bytes.fromhex(work["result_key"]), held)

    def _erase(self, request: Request) -> None:
        """Erase, together with the erasures that follow: a deletion costs the table, not the install."""
        erasures = [request]
        for following in self._register.pending(MOST_ERASURES)[1:]:
            if following.action != "erase" or not self._register.spool.loaded_up_to(following.after):
                break
            erasures.append(following)
        installs = {plane: sorted({each.work[plane] for each in erasures}) for plane in rights.TABLES}
        for plane in installs:
            lines = [encode({"install": install}) for install in installs[plane]]
            self._engine.insert(rights.RETIRED[plane], lines, token=request.work["batches"][plane])
        rights.erase(self._engine, installs, sorted({each.work["who"] for each in erasures}))
        for plane in installs:
            for id, _ in self._register.quarantined(plane, set(installs[plane])):
                self._register.spool.drop_quarantined(id)
        self._register.finish(erasures, "done", time.time())
        self._register.spool.checkpoint()

    def _rectify(self, request: Request) -> None:
        work = request.work
        if request.step == "":
            held = self._raw_rows(work)
            work["rows"] = {plane: [_corrected(row, plane, work) for row in held[plane]] for plane in held}
            self._register.note(request, "staged", work)
        if request.step in ("", "staged"):
            rights.erase(self._engine, {plane: [work[plane]] for plane in rights.TABLES})
            self._register.note(request, "erased", work)
        self._insert(work, work["rows"])

    def _restrict(self, request: Request) -> None:
        work = request.work
        key = bytes.fromhex(work["sealing_key"])
        held = self._raw_rows(work)
        lines = [encode(sealed_row(key, work["who"], row, None)) for row in held["usage"]]
        lines += [encode(sealed_row(key, work["who"], None, row)) for row in held["license"]]
        insert_batch(self._engine, "sealed", work["batches"]["sealed"], lines)
        rights.erase(self._engine, {plane: [work[plane]] for plane in rights.TABLES})

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
        rights.erase(self._engine, {}, [request.work["who"]])

    def _object(self, request: Request) -> None:
        """Nothing is left to do: the collector stores nothing more since the request was."""

    def _raw_rows(self, work: dict[str, Any]) -> Rows:
        return {
            plane: [
                {name: value for name, value in row.items() if name != "mark"}
                for row in rights.rows(self._engine, rights.TABLES[plane][0], work[plane])
            ]
            for plane in rights.TABLES
        }

    def _insert(self, work: dict[str, Any], rows: Rows) -> None:
        for plane in rows:
            insert_batch(self._engine, plane, work["batches"][plane], sorted(encode(row) for row in rows[plane]))

    def _unsealed(self, work: dict[str, Any]) -> list[dict[str, Any]]:
        key = bytes.fromhex(work["sealing_key"])
        found = []
        for _, sealed, sealed_ip in rights.sealed(self._engine, work["who"]):
            rows = unseal(key, sealed)
            if rows["license"]:
                # After 30 days the addresses are gone.
                rows["license"] |= unseal(key, sealed_ip) if sealed_ip else {"ip": "", "ip_claim": ""}
            found.append(rows)
        return found

    def exchange(self) -> None:
        """Tell other collectors and the dashboard what is new here, and learn what was decided at others."""
        requests, standings = self._register.untold()
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
            self._register.told(requests, standings)
        self._learn(now)

    def _learn(self, now: float) -> None:
        found = self._engine.query(
            "SELECT who, argMax((epoch, toUnixTimestamp64Milli(erased), objected, restricted), changed) AS newest, "
            "toUnixTimestamp64Micro(max(changed)) FROM standings "
            "WHERE changed > fromUnixTimestamp64Micro({since:Int64}) GROUP BY who",
            {"since": int(max(self._learned - OVERLAP_SECONDS, 0.0) * 1e6)},
        )
        self._register.learn(
            [
                (who, Standing(epoch, erased / 1e3 if erased else float("-inf"), bool(o), bool(r)), changed / 1e6)
                for who, (epoch, erased, o, r), changed in found
            ]
        )
        self._learned = now


def _corrected(row: dict[str, Any], plane: rights.Plane, work: dict[str, Any]) -> dict[str, Any]:
    if work["module"] and row["module"] != work["module"]:
        return row
    return {**row, **work["corrections"][plane]}


def _moment(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
