"""The requests about an install's data, and the pseudonyms that erasures retired.

They are in the spool's file, because a request is ordered with the beacons: it is carried out once all that was stored
before it is loaded, and what it decides holds from its commit on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from collector.rights.decisions import Decision, Decisions
from collector.rights.install_states import InstallState
from collector.spool import Batch, Spool

RESULT_DAYS = 7
RECORD_DAYS = 396
# A request about an install of which nothing was held leaves no record: its ticket is good for so long.
UNHELD_DAYS = 1
MOST_PENDING = 10_000
MOST_SHARED = 1000
DELETING = "deleting"

Work = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request.

    `public` is its id outside, `after` the last beacon that was stored before it, `held` whether anything was held of
    the install (None: not known yet). `work` is what carrying it out takes; it goes when the request is done. `step` is
    how far that has come. Nothing but the work says who asked.
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
    """What must outlive a lost machine so that its backup brings nobody back. It names nobody.

    The retired pseudonyms of each plane, and every install state (who, epoch, erased, objected, restricted, revision).
    """

    usage: list[int]
    license: list[int]
    states: list[tuple[int, int, float, bool, bool, int]]


class Full(Exception):
    """Too many requests wait."""


class _UsageRow(msgspec.Struct):
    install: int
    beacon: int


class RequestStore:
    """The requests and decisions in one spool; for one thread at a time."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.decisions = Decisions(spool)

    def add(
        self, ticket: bytes, public: int, action: str, who: int, now: float, work: Callable[[InstallState], Work]
    ) -> None:
        """Put a request on disk, with what it decides; `work` is made of the state before. Raises `Full` and
        `Unavailable`."""
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
        """The requests that are not carried out, oldest first."""
        found = self.spool.db.execute(f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' ORDER BY id")  # noqa: S608
        return [_request(row) for row in found]

    def ready(self, most: int) -> list[Request]:
        """The oldest requests whose beacons are loaded, at most one of each install: the others follow it."""
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
        """All requests of which there is a record, newest first."""
        return [_request(row) for row in self.spool.db.execute(f"SELECT {_COLUMNS} FROM requests ORDER BY id DESC")]  # noqa: S608

    def find(self, ticket: bytes) -> tuple[Request, bytes] | None:
        """The request under a ticket (its hash), and its encrypted result."""
        row = self.spool.db.execute(
            f"SELECT {_COLUMNS}, result FROM requests WHERE ticket = ?",  # noqa: S608
            (ticket,),
        ).fetchone()
        return (_request(row[:-1]), row[-1] or b"") if row else None

    def mark_held(self, requests: Iterable[Request]) -> None:
        """Note which of these requests are about an install of which something is held."""
        with self.spool.transaction():
            self.spool.db.executemany(
                "UPDATE requests SET held = ? WHERE id = ?", [(each.held, each.id) for each in requests]
            )

    def mark_deleting(self, requests: Iterable[Request]) -> None:
        """Note that ClickHouse has begun to delete what these requests take out."""
        with self.spool.transaction():
            self.spool.db.executemany(
                f"UPDATE requests SET step = '{DELETING}' WHERE id = ?",  # noqa: S608
                [(request.id,) for request in requests],
            )

    def note_later(self, batch: Batch) -> None:
        """Note which beacons of a batch came after a correction was asked for: it spares them."""
        corrections = self.spool.db.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' AND action = 'rectify' AND step = '' "  # noqa: S608
            "AND after < ?",
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

    def finish(self, requests: list[Request], state: str, now: float, result: bytes = b"") -> None:
        """Note that requests are `done` or `failed`, and forget what they were about."""
        erased = [request for request in requests if request.action == "erase" and request.held and state == "done"]
        with self.spool.transaction():
            for plane in ("usage", "license"):
                self._retire(plane, [install for request in erased for install in retired(request, plane)])
            self.spool.db.executemany(
                "UPDATE requests SET state = ?, done = ?, result = ?, work = NULL, step = '', shared = 0 WHERE id = ?",
                [(state, int(now), result, request.id) for request in requests],
            )

    def quarantined(self, plane: str, installs: set[int]) -> list[tuple[int, bytes]]:
        """(id, row) of the rows of these installs that ClickHouse refused."""
        found = self.spool.db.execute("SELECT id, row FROM quarantine WHERE plane = ?", (plane,))
        return [(id, row) for id, row in found if msgspec.json.decode(row).get("install") in installs]

    def unshared(self) -> list[Request]:
        """Requests about installs of which something is held, whose state the dashboard does not know yet."""
        requests = self.spool.db.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE shared = 0 AND held = 1 ORDER BY id LIMIT {MOST_SHARED}"  # noqa: S608
        )
        return [_request(row) for row in requests]

    def mark_shared(self, requests: list[Request]) -> None:
        """Note that the dashboard knows of these, as they were."""
        with self.spool.transaction():
            self.spool.db.executemany(
                "UPDATE requests SET shared = 1 WHERE id = ? AND state = ?", [(r.id, r.state) for r in requests]
            )

    def kept(self) -> Kept:
        """All that was decided here, to be kept beside the backups: see `restore`."""
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
        """Take over decisions that are newer than what this spool, a restored one, knows."""
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
        # As text: SQLite's integers have a sign.
        self.spool.db.executemany(
            f"INSERT OR IGNORE INTO retired_{plane} VALUES (?)",  # noqa: S608
            [(str(install),) for install in installs],
        )

    def forget(self, now: float) -> None:
        """Drop results that were not fetched, and records that are old."""
        with self.spool.transaction():
            self.spool.db.execute(
                "UPDATE requests SET result = NULL WHERE done < ? AND result IS NOT NULL", (now - RESULT_DAYS * 86400,)
            )
            self.spool.db.execute("DELETE FROM requests WHERE done < ?", (now - RECORD_DAYS * 86400,))
            self.spool.db.execute("DELETE FROM requests WHERE done < ? AND held = 0", (now - UNHELD_DAYS * 86400,))


def retired(request: Request, plane: str) -> list[int]:
    """What an erasure retires in a plane: the install's pseudonym, and others that nobody has.

    Those hide which pseudonym of the one plane was retired together with which of the other.
    """
    return [request.work[plane], *request.work["decoys"][plane]]


def _encoded(work: Work) -> bytes:
    return msgspec.json.encode(work)


def _request(row: tuple[Any, ...]) -> Request:
    id, public, action, received, after, work, step, state, done, held = row
    work = msgspec.json.decode(work) if work else {}
    return Request(id, public, action, received, after, work, step, state, done, None if held is None else bool(held))
