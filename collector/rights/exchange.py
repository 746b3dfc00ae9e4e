"""Shares owners' decisions and the states of requests between collectors, through ClickHouse."""

import secrets
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from collector.planes import encode
from collector.rights.decisions import Decision
from collector.rights.install_states import InstallState
from collector.rights.request_store import RequestStore
from warehouse.engine import Engine
from warehouse.statement_settings import UNLOGGED

# A row may become visible this long after its insertion time (microseconds, by ClickHouse's clock).
OVERLAP = 300_000_000
PAGE = 20_000
_STATES = (
    "SELECT who, max(epoch), toUnixTimestamp64Milli(max(erased)), max(decision).1, max(decision).2, max(decision).3, "
    "toUnixTimestamp64Micro(max(inserted)) AS newest FROM install_states WHERE {condition} GROUP BY who"
)


class Exchange:
    """Shares the decisions of one spool."""

    def __init__(self, store: RequestStore, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._store, self._engine, self._clock = store, engine, clock
        self._server_time = 0
        self._learned = (0, 0)

    def run(self) -> None:
        """Share new requests and decisions, and store the decisions of other collectors."""
        self._share_requests()
        waiting = {request.work["who"] for request in self._store.pending()}
        self.share([who for who in self._store.decisions.unshared() if who not in waiting])
        self._learn()

    def share(self, installs: Collection[int]) -> None:
        """Share the decisions about these installs, as newer than all decisions of other collectors."""
        decisions = self._store.decisions
        if not (unshared := [who for who in installs if decisions.is_unshared(who)]):
            return
        elsewhere = self._engine.query_each(
            _STATES.format(condition="who IN {installs:Array(UInt64)}"), "installs", unshared
        )
        ours = decisions.overrule(unshared, [_decision(row) for row in elsewhere])
        self._engine.insert("install_states", [encode(_row(each)) for each in ours], secrets.token_hex(16))
        decisions.mark_shared(ours)

    def _share_requests(self) -> None:
        requests = self._store.unshared()
        if not requests:
            return
        lines = [
            encode({
                "id": each.public, "action": each.action, "state": each.state, "received": each.received,
                "done": each.done,
                # The row with the latest `written` counts. It depends on the state, because clocks may step back.
                "written": _moment(each.received + (each.state != "pending")),
            })
            for each in requests
        ]  # fmt: skip
        self._engine.insert("rights_requests", lines, secrets.token_hex(16))
        self._store.mark_shared(requests)

    def _learn(self) -> None:
        ((server_time,),) = self._engine.query("SELECT toUnixTimestamp64Micro(now64(6))")
        if server_time < self._server_time:
            self._learned = (0, 0)  # ClickHouse's clock stepped back: new rows would look old
        self._server_time = server_time
        found = self._engine.query(
            f"SELECT * FROM ({_STATES.format(condition='inserted >= fromUnixTimestamp64Micro({since:Int64})')}) "  # noqa: S608
            f"WHERE (newest, who) > ({{since:Int64}}, {{after:UInt64}}) ORDER BY newest, who LIMIT {PAGE}",
            {"since": self._learned[0], "after": self._learned[1]},
            UNLOGGED,
        )
        self._store.decisions.learn([_decision(row) for row in found], self._clock())
        if found:
            newest, who = found[-1][-1], found[-1][0]
            self._learned = (newest, who) if len(found) == PAGE else (max(newest - OVERLAP, 0), 0)


def _decision(row: tuple[Any, ...]) -> Decision:
    who, epoch, erased, revision, objected, restricted, _ = row
    moment = erased / 1e3 if erased else float("-inf")
    return Decision(who, InstallState(epoch, moment, bool(objected), bool(restricted)), revision)


def _row(decision: Decision) -> dict[str, object]:
    state = decision.state
    return {
        "who": decision.who,
        "epoch": state.epoch,
        "erased": _moment(max(state.erased, 0.0)),
        "decision": {"revision": decision.revision, "objected": state.objected, "restricted": state.restricted},
    }


def _moment(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
