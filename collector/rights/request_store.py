"""The register of requests about an install's data, and of what their owners decided.

It is in the spool's file, because a request is ordered with the beacons: it is carried out once all that was stored
before it is loaded and before anything that came later is, and what it decides holds from its commit on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from collector.rights.install_states import NONE, InstallState
from collector.spool import Spool

RESULT_DAYS = 7
RECORD_DAYS = 396
MOST_PENDING = 10_000

Work = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request: `public` is its id outside, `after` the last beacon that was stored before it, `work` what carrying it
    out takes (gone when done), `step` how far that has come. Of who asked it holds nothing but the work."""

    id: int
    public: int
    action: str
    received: int
    after: int
    work: Work
    step: str
    state: str
    done: int | None


_COLUMNS = "id, public, action, received, after, work, step, state, done"


class Decisions(msgspec.Struct):
    """What must outlive a lost machine so that its backup brings nobody back: the retired pseudonyms of each plane, and
    every standing (who, epoch, erased, objected, restricted, changed). It names nobody."""

    usage: list[int]
    license: list[int]
    standings: list[tuple[int, int, float, bool, bool, float]]


class Full(Exception):
    """Too many requests wait."""


class RequestStore:
    """The requests and decisions in one spool; for one thread at a time."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool

    def add(
        self, ticket: bytes, public: int, action: str, who: int, now: float, work: Callable[[InstallState], Work]
    ) -> None:
        """Put a request on disk, with what it decides; `work` is made of the standing before. Raises `Full` and
        `Unavailable`."""
        db = self.spool.db
        with self.spool.transaction():
            if db.execute("SELECT count(*) FROM requests WHERE state = 'pending'").fetchone()[0] >= MOST_PENDING:
                raise Full
            row = db.execute(
                "SELECT epoch, erased, objected, restricted FROM installs WHERE who = ?", (who,)
            ).fetchone()
            before = InstallState(row[0], row[1], bool(row[2]), bool(row[3])) if row else NONE
            after = decided(before, action, now)
            db.execute(
                "INSERT INTO requests (ticket, public, action, received, after, work, state) "
                "VALUES (?, ?, ?, ?, ?, ?, 'pending')",
                (ticket, public, action, int(now), self.spool.last(), msgspec.json.encode(work(before))),
            )
            if after != before:
                self._decide(who, after, now, told=False)

    def _decide(self, who: int, standing: InstallState, changed: float, *, told: bool) -> None:
        self.spool.db.execute(
            "REPLACE INTO installs VALUES (?, ?, ?, ?, ?, ?, ?)",
            (who, standing.epoch, standing.erased, standing.objected, standing.restricted, changed, told),
        )
        self.spool.db.execute("UPDATE decisions SET version = version + 1")

    def next(self) -> Request | None:
        """The oldest request that is not carried out."""
        return next(iter(self.pending(1)), None)

    def pending(self, most: int) -> list[Request]:
        """The oldest requests that are not carried out, in their order."""
        found = self.spool.db.execute(
            f"SELECT {_COLUMNS} FROM requests WHERE state = 'pending' ORDER BY id LIMIT ?",  # noqa: S608
            (most,),
        )
        return [_request(row) for row in found]

    def all(self) -> list[Request]:
        """All requests of which there is a record, newest first."""
        return [_request(row) for row in self.spool.db.execute(f"SELECT {_COLUMNS} FROM requests ORDER BY id DESC")]  # noqa: S608

    def find(self, ticket: bytes) -> tuple[Request, bytes] | None:
        """The request under a ticket (its hash), and its sealed result."""
        row = self.spool.db.execute(
            f"SELECT {_COLUMNS}, result FROM requests WHERE ticket = ?",  # noqa: S608
            (ticket,),
        ).fetchone()
        return (_request(row[:-1]), row[-1] or b"") if row else None

    def save_step(self, request: Request, step: str, work: Work) -> None:
        """Note how far a request has come, and what is left of its work."""
        with self.spool.transaction():
            self.spool.db.execute(
                "UPDATE requests SET step = ?, work = ? WHERE id = ?", (step, msgspec.json.encode(work), request.id)
            )

    def finish(self, requests: list[Request], state: str, now: float, result: bytes = b"") -> None:
        """Note that requests are `done` or `failed`, and forget what they were about."""
        erased = [request for request in requests if request.action == "erase" and state == "done"]
        with self.spool.transaction():
            self._retire([(plane, request.work[plane]) for request in erased for plane in ("usage", "license")])
            self.spool.db.executemany(
                "UPDATE requests SET state = ?, done = ?, result = ?, work = NULL, step = '', told = 0 WHERE id = ?",
                [(state, int(now), result, request.id) for request in requests],
            )

    def any_erased(self) -> bool:
        """Whether any install was ever erased."""
        return self.spool.db.execute("SELECT 1 FROM installs WHERE epoch > 0 LIMIT 1").fetchone() is not None

    def quarantined(self, plane: str, installs: set[int]) -> list[tuple[int, bytes]]:
        """(id, row) of the rows of these installs that ClickHouse refused."""
        found = self.spool.db.execute("SELECT id, row FROM quarantine WHERE plane = ?", (plane,))
        return [(id, row) for id, row in found if msgspec.json.decode(row).get("install") in installs]

    def unshared(self) -> tuple[list[Request], list[tuple[int, InstallState, float]]]:
        """Requests and standings that other collectors and the dashboard do not know of yet."""
        requests = self.spool.db.execute(f"SELECT {_COLUMNS} FROM requests WHERE told = 0 ORDER BY id LIMIT 1000")  # noqa: S608
        standings = self.spool.db.execute(
            "SELECT who, epoch, erased, objected, restricted, changed FROM installs WHERE told = 0 LIMIT 1000"
        )
        return (
            [_request(row) for row in requests],
            [
                (who, InstallState(epoch, erased, bool(o), bool(r)), changed)
                for who, epoch, erased, o, r, changed in standings
            ],
        )

    def mark_shared(self, requests: list[Request], standings: list[tuple[int, InstallState, float]]) -> None:
        """Note that these are known, as they were."""
        with self.spool.transaction():
            self.spool.db.executemany(
                "UPDATE requests SET told = 1 WHERE id = ? AND state = ?", [(r.id, r.state) for r in requests]
            )
            self.spool.db.executemany(
                "UPDATE installs SET told = 1 WHERE who = ? AND changed = ?", [(who, at) for who, _, at in standings]
            )

    def learn(self, standings: list[tuple[int, InstallState, float]]) -> None:
        """Take over what was decided at another collector, where that is newer."""
        newer = []
        for who, standing, changed in standings:
            row = self.spool.db.execute("SELECT changed FROM installs WHERE who = ?", (who,)).fetchone()
            if row is None or row[0] < changed:
                newer.append((who, standing, changed))
        if newer:
            with self.spool.transaction():
                for who, standing, changed in newer:
                    self._decide(who, standing, changed, told=True)

    def decisions(self) -> "Decisions":
        """All that was decided here, to be kept beside the backups: see `restore`."""
        retired: dict[str, list[int]] = {"usage": [], "license": []}
        for plane, install in self.spool.db.execute("SELECT plane, install FROM retired"):
            retired[plane].append(int(install))
        rows = self.spool.db.execute("SELECT who, epoch, erased, objected, restricted, changed FROM installs")
        return Decisions(
            sorted(retired["usage"]),
            sorted(retired["license"]),
            [(who, epoch, max(erased, 0.0), bool(o), bool(r), at) for who, epoch, erased, o, r, at in rows],
        )

    def restore(self, decisions: "Decisions") -> None:
        """Take over decisions that are newer than what this spool, a restored one, knows."""
        self.learn(
            [
                (who, InstallState(epoch, erased or float("-inf"), objected, restricted), changed)
                for who, epoch, erased, objected, restricted, changed in decisions.standings
            ]
        )
        retired = [("usage", each) for each in decisions.usage] + [("license", each) for each in decisions.license]
        with self.spool.transaction():
            self._retire(retired)

    def _retire(self, pseudonyms: list[tuple[str, int]]) -> None:
        # As text: SQLite's integers have a sign.
        named = [(plane, str(install)) for plane, install in pseudonyms]
        self.spool.db.executemany("INSERT OR IGNORE INTO retired VALUES (?, ?)", named)

    def forget(self, now: float) -> None:
        """Drop results that were not fetched, and records that are old."""
        with self.spool.transaction():
            self.spool.db.execute(
                "UPDATE requests SET result = NULL WHERE done < ? AND result IS NOT NULL", (now - RESULT_DAYS * 86400,)
            )
            self.spool.db.execute("DELETE FROM requests WHERE done < ?", (now - RECORD_DAYS * 86400,))


def decided(before: InstallState, action: str, now: float) -> InstallState:
    """An install's standing once `action` was asked for."""
    match action:
        case "erase":
            return InstallState(before.epoch + 1, now, before.objected, before.restricted)
        case "object":
            return InstallState(before.epoch, before.erased, True, before.restricted)
        case "restrict":
            return InstallState(before.epoch, before.erased, before.objected, True)
        case "lift":
            return InstallState(before.epoch, before.erased)
    return before


def _request(row: tuple[Any, ...]) -> Request:
    id, public, action, received, after, work, step, state, done = row
    work = msgspec.json.decode(work) if work else {}
    return Request(id, public, action, received, after, work, step, state, done)
