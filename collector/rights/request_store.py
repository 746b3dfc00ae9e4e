"""Stores the requests about an install's data, and the pseudonyms that erasures retired.

They are in the spool's file because requests and beacons have one order: a request is carried out when all beacons
before it are loaded, and its decision is in force from its commit on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from collector.batch_insert import mark
from collector.rights.decisions import Decision, Decisions
from collector.rights.install_states import InstallState
from collector.spool import Batch, Spool
from warehouse import install_data
from warehouse.plane_tables import Plane

RESULT_DAYS = 7
RECORD_DAYS = 396
# The record and the ticket of a request about an install without data are kept for this long.
UNHELD_DAYS = 1
MOST_PENDING = 10_000
MOST_SHARED = 1000
DELETING = "deleting"

Work = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request.

    `public` is the published id. `after` is the last beacon stored before the request. `held` is whether there was data
    about the install (None: not known yet). `work` is the data needed to carry out the request; it is deleted when the
    request is done. `step` is the progress. Only `work` identifies the install.
    """

    id: int
    public: int
    action: str
    received: int
    after: int
    work: Work
    step: str
    state: str
    done: int | None
    held: bool | None


_COLUMNS = "id, public, action, received, after, work, step, state, done, held"


class Kept(msgspec.Struct):
    """The decisions that must survive the loss of a machine, so that a restored backup does not undo an erasure.

    They are the retired pseudonyms of each plane, and all install states (who, epoch, erased, objected, restricted,
    revision). They identify no install.
    """

    usage: list[int]
    license: list[int]
    states: list[tuple[int, int, float, bool, bool, int]]


class Full(Exception):
    """Too many requests are waiting."""


def edition(work: Work) -> int:
    """Return the edition of what a request changes: an odd number of 32 bits, never 1.

    Beacons that came after a waiting correction get the number before it.
    """
    return max(mark(work["batches"]["usage"], 0), 2) | 1


class _UsageRow(msgspec.Struct):
    install: int
    beacon: int


class RequestStore:
    """The requests and decisions in one spool. Not thread-safe."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.decisions = Decisions(spool)

    def add(
        self, ticket: bytes, public: int, action: str, who: int, now: float, work: Callable[[InstallState], Work]
    ) -> None:
        """Store a request and its decision on disk. `work` is called with the previous state.

        Raises `Full` and `Unavailable`.
        """
        db = self.spool.db
        with self.spool.transaction():
            if db.execute("SELECT count(*) FROM requests WHERE state = 'pending'").fetchone()[0] >= MOST_PENDING:
                raise Full
            before, version = self.decisions.decide(who, action, now)
            db.execute(
                "INSERT INTO requests (ticket, public, action, received, after, work, state) "
                "VALUES (?, ?, ?, ?, ?, ?, 'pending')",
                (ticket, public, action, int(now), self.spool.last(), _encoded({**work(before), "version": version})),
            )

    def pending(self) -> list[Request]:
        """Return the requests that are not done, oldest first."""
        found = self.spool.db.execute(f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' ORDER BY id")  # noqa: S608
        return [_request(row) for row in found]

    def oldest_pending(self) -> int | None:
        """Return when the oldest request that is not done was received (epoch seconds), None if there is none."""
        found = self.spool.db.execute("SELECT min(received) FROM requests WHERE state = 'pending'").fetchone()
        return None if found[0] is None else int(found[0])

    def ready(self, most: int) -> list[Request]:
        """Return the oldest requests whose earlier beacons are loaded, at most one of each install."""
        ready: dict[int, Request] = {}
        busy: set[int] = set()
        for request in self.pending():
            if len(ready) == most or not self.spool.loaded_up_to(request.after):
                break
            who = request.work["who"]
            if request.step == DELETING:
                busy.add(who)
            elif who not in busy:
                ready.setdefault(who, request)
        return list(ready.values())

    def all(self) -> list[Request]:
        """Return all stored requests, newest first."""
        return [_request(row) for row in self.spool.db.execute(f"SELECT {_COLUMNS} FROM requests ORDER BY id DESC")]  # noqa: S608

    def find(self, ticket: bytes) -> tuple[Request, bytes] | None:
        """Return the request with this ticket (a hash), and its encrypted result."""
        row = self.spool.db.execute(
            f"SELECT {_COLUMNS}, result FROM requests WHERE ticket = ?",  # noqa: S608
            (ticket,),
        ).fetchone()
        return (_request(row[:-1]), row[-1] or b"") if row else None

    def mark_held(self, requests: Iterable[Request]) -> None:
        """Record `held` of these requests."""
        with self.spool.transaction():
            self.spool.db.executemany(
                "UPDATE requests SET held = ? WHERE id = ?", [(each.held, each.id) for each in requests]
            )

    def mark_deleting(self, requests: Iterable[Request]) -> None:
        """Record that ClickHouse has started the deletions of these requests."""
        with self.spool.transaction():
            self.spool.db.executemany(
                f"UPDATE requests SET step = '{DELETING}' WHERE id = ?",  # noqa: S608
                [(request.id,) for request in requests],
            )

    def note_later(self, batch: Batch) -> None:
        """Record the beacons of a batch that are newer than a correction that is not done. It does not change them."""
        corrections = self.spool.db.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' AND action = 'rectify' AND after < ?",  # noqa: S608
            (batch.last,),
        ).fetchall()
        for request in map(_request, corrections):
            rows = self.spool.db.execute(
                "SELECT usage FROM beacons WHERE seq > ? AND seq BETWEEN ? AND ? AND usage != x''",
                (request.after, batch.first, batch.last),
            )
            found = [msgspec.json.decode(row, type=_UsageRow) for (row,) in rows]
            if later := {each.beacon for each in found if each.install == request.work["usage"]}:
                work = {**request.work, "later": sorted(later.union(request.work["later"]))}
                with self.spool.transaction():
                    self.spool.db.execute("UPDATE requests SET work = ? WHERE id = ?", (_encoded(work), request.id))

    def editions(self) -> dict[int, int]:
        """Return the edition of each beacon that came after a correction that is not done (`note_later`)."""
        waiting = self.spool.db.execute("SELECT work FROM requests WHERE state = 'pending' AND action = 'rectify'")
        works: list[Work] = [msgspec.json.decode(work) for (work,) in waiting]
        return {beacon: edition(work) - 1 for work in works for beacon in work["later"]}

    def repeat_deletions(self) -> None:
        """Begin the started requests again. Use it on a copy of a spool: the copied tables may be as they were."""
        with self.spool.transaction():
            self.spool.db.execute("UPDATE requests SET step = '' WHERE state = 'pending'")

    def finish(self, requests: list[Request], state: str, now: float, result: bytes = b"") -> None:
        """Record that requests are `done` or `failed`, and delete their `work`."""
        erased = [request for request in requests if request.action == "erase" and request.held and state == "done"]
        with self.spool.transaction():
            for plane in ("usage", "license"):
                self._retire(plane, [install for request in erased for install in retired(request, plane)])
            self.spool.db.executemany(
                "UPDATE requests SET state = ?, done = ?, result = ?, work = NULL, step = '', shared = 0 WHERE id = ?",
                [(state, int(now), result, request.id) for request in requests],
            )

    def quarantined(self, plane: str, installs: set[int]) -> list[tuple[int, bytes]]:
        """Return the (id, row) of each quarantined row of these installs."""
        found = self.spool.db.execute("SELECT id, row FROM quarantine WHERE plane = ?", (plane,))
        return [(id, row) for id, row in found if msgspec.json.decode(row).get("install") in installs]

    def unshared(self) -> list[Request]:
        """Return requests with a state that the dashboard does not know yet. Skips installs without data."""
        requests = self.spool.db.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE shared = 0 AND held = 1 ORDER BY id LIMIT {MOST_SHARED}"  # noqa: S608
        )
        return [_request(row) for row in requests]

    def mark_shared(self, requests: list[Request]) -> None:
        """Record that the dashboard knows these states of these requests."""
        with self.spool.transaction():
            self.spool.db.executemany(
                "UPDATE requests SET shared = 1 WHERE id = ? AND state = ?", [(r.id, r.state) for r in requests]
            )

    def kept(self) -> Kept:
        """Return all decisions, to be stored beside the backups. `restore` reads them."""
        pseudonyms = {
            plane: sorted(int(install) for (install,) in self.spool.db.execute(f"SELECT install FROM retired_{plane}"))  # noqa: S608
            for plane in ("usage", "license")
        }
        states = [
            (each.who, each.state.epoch, max(each.state.erased, 0.0), each.state.objected, each.state.restricted,
             each.revision)
            for each in self.decisions.all()
        ]  # fmt: skip
        return Kept(pseudonyms["usage"], pseudonyms["license"], states)

    def restore(self, kept: Kept, now: float) -> None:
        """Store the decisions that are newer than those of this spool, which was restored from a backup."""
        self.decisions.learn(
            [
                Decision(who, InstallState(epoch, erased or float("-inf"), objected, restricted), revision)
                for who, epoch, erased, objected, restricted, revision in kept.states
            ],
            now,
            shared=False,
        )
        with self.spool.transaction():
            self._retire("usage", kept.usage)
            self._retire("license", kept.license)

    def _retire(self, plane: str, installs: list[int]) -> None:
        # Stored as text, because SQLite's integers are signed.
        self.spool.db.executemany(
            f"INSERT OR IGNORE INTO retired_{plane} VALUES (?)",  # noqa: S608
            [(str(install),) for install in installs],
        )

    def forget(self, now: float) -> None:
        """Delete expired results and records."""
        with self.spool.transaction():
            self.spool.db.execute(
                "UPDATE requests SET result = NULL WHERE done < ? AND result IS NOT NULL", (now - RESULT_DAYS * 86400,)
            )
            self.spool.db.execute("DELETE FROM requests WHERE done < ?", (now - RECORD_DAYS * 86400,))
            self.spool.db.execute("DELETE FROM requests WHERE done < ? AND held = 0", (now - UNHELD_DAYS * 86400,))


def retired(request: Request, plane: str) -> list[int]:
    """Return the pseudonyms that an erasure retires in a plane: the install's own and unused ones.

    The unused ones hide which pseudonyms of the two planes belong to one install. Those of the license plane
    include the pseudonym of the counts by source.
    """
    found = [request.work[plane], *request.work["decoys"][plane]]
    if plane == "license" and "source" in request.work:
        found += [request.work["source"], *request.work["decoys"]["source"]]
    return found


def names(work: Work, plane: Plane, table: str = "") -> list[int]:
    """Return the pseudonyms of a request's install in a table of a plane; without a table, in all of them."""
    # The request may be from before the counts by source had a pseudonym of their own.
    others = [work["source"]] if plane == "license" and table in ("", install_data.SOURCES) and "source" in work else []
    return [work[plane], *others]


def _encoded(work: Work) -> bytes:
    return msgspec.json.encode(work)


def _request(row: tuple[Any, ...]) -> Request:
    id, public, action, received, after, work, step, state, done, held = row
    work = msgspec.json.decode(work) if work else {}
    return Request(id, public, action, received, after, work, step, state, done, None if held is None else bool(held))
