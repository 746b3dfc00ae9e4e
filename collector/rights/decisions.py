"""Stores the decisions of owners, by install. The newest decision counts, independent of the clocks.

Each decision has a revision, a hybrid logical clock: the wall clock in microseconds, but always higher than any
revision known here. So a decision is always newer than the one it replaces. A decision of another collector replaces
ours if its revision is higher. No other decision replaces one that is not carried out yet: when that is carried out, it
gets a revision above those that the other collectors have shared by then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from collector.rights.install_states import NONE, InstallState
from collector.spool import Spool

MOST_SHARED = 1000
# A state is not dropped if more beacons than this follow its erasure, because each of them is checked.
MOST_LOOKED_THROUGH = 10_000
_COLUMNS = "who, epoch, erased, objected, restricted, revision"


@dataclass(frozen=True)
class Decision:
    """The state of an install, and the revision of the decision that made it."""

    who: int
    state: InstallState
    revision: int


class Install(msgspec.Struct):
    """The install of a row in the spool."""

    install: int


class Decisions:
    """The decisions in one spool. Not thread-safe."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def state(self, who: int) -> InstallState:
        """Return the state of an install."""
        found = self._find(who)
        return found.state if found else NONE

    def decide(self, who: int, action: str, now: float) -> tuple[InstallState, int | None]:
        """Store the decision that `action` makes. Call it in a transaction.

        Returns the previous state and the version of the decision, or None as the version if nothing changes.
        """
        before = self.state(who)
        after = decided(before, action, now)
        if after == before:
            return before, None
        return before, self._put(Decision(who, after, self._next_revision(now)), shared=False)

    def overrule(self, installs: Iterable[int], elsewhere: Sequence[Decision]) -> list[Decision]:
        """Raise the revisions of unshared decisions above those of other collectors; returns these decisions."""
        known = {each.who: each for each in elsewhere}
        with self._spool.transaction():
            for who in installs:
                ours, theirs = self._find(who), known.get(who)
                if ours is not None and theirs is not None and self.is_unshared(who):
                    self._raise(theirs.revision)
                    self._put(Decision(who, _merged(ours, theirs).state, self._next_revision(0.0)), shared=False)
        return [found for who in installs if (found := self._find(who)) and self.is_unshared(who)]

    def unshared(self) -> list[int]:
        """Return the installs that have an unshared decision, at most `MOST_SHARED`."""
        found = self._spool.db.execute(f"SELECT who FROM install_states WHERE shared = 0 LIMIT {MOST_SHARED}")  # noqa: S608
        return [who for (who,) in found]

    def is_unshared(self, who: int) -> bool:
        """Return whether the newest decision about an install is not shared with other collectors yet."""
        found = self._spool.db.execute("SELECT 1 FROM install_states WHERE who = ? AND shared = 0", (who,))
        return found.fetchone() is not None

    def learn(self, elsewhere: Iterable[Decision], now: float, *, shared: bool = True) -> None:
        """Store the decisions of other collectors that are newer than ours, unless ours is not shared yet.

        An erasure with a future time comes from a wrong clock: its time becomes `now`. Pass `shared=False` for
        decisions that other collectors do not have yet.
        """
        changed = []
        for theirs in elsewhere:
            theirs = replace(theirs, state=replace(theirs.state, erased=min(theirs.state.erased, now)))
            ours = self._find(theirs.who)
            if ours is None:
                changed.append(theirs)
            elif theirs.revision > ours.revision and not self.is_unshared(theirs.who):
                changed.append(replace(_merged(theirs, ours), revision=theirs.revision))
        if changed:
            with self._spool.transaction():
                for each in changed:
                    self._raise(each.revision)
                    self._put(each, shared=shared)

    def mark_shared(self, decisions: Iterable[Decision]) -> None:
        """Record that these decisions are shared with other collectors."""
        with self._spool.transaction():
            self._spool.db.executemany(
                "UPDATE install_states SET shared = 1 WHERE who = ? AND revision = ?",
                [(each.who, each.revision) for each in decisions],
            )

    def all(self) -> list[Decision]:
        """Return all decisions."""
        return [_decision(row) for row in self._spool.db.execute(f"SELECT {_COLUMNS} FROM install_states")]  # noqa: S608

    def any_erased(self) -> bool:
        """Return whether any install was ever erased."""
        return self._spool.db.execute("SELECT 1 FROM install_states WHERE epoch > 0 LIMIT 1").fetchone() is not None

    def correct_erasures(self, now: float) -> None:
        """Set erasures with a future time, from a wrong clock, to `now`. No beacon is stored before that time."""
        late = "epoch > 0 AND erased > ?"
        if self._spool.db.execute(f"SELECT 1 FROM install_states WHERE {late} LIMIT 1", (now,)).fetchone():  # noqa: S608
            with self._spool.transaction():
                version = self._next_version()
                self._spool.db.execute(
                    f"UPDATE install_states SET erased = ?, version = ? WHERE {late}",  # noqa: S608
                    (now, version, now),
                )

    def drop(self, erasures: Iterable[tuple[int, int, dict[str, int], int]]) -> None:
        """Drop states that record only the erasure of an install without data.

        Each erasure is (who, version of the decision, the new pseudonyms, the last beacon before it). A state is not
        dropped if there is a newer decision, or a beacon under the new pseudonyms.
        """
        with self._spool.transaction():
            rows = [
                (each, self._spool.db.execute(
                    "SELECT 1 FROM install_states WHERE who = ? AND version = ? AND epoch = 1 "
                    "AND NOT objected AND NOT restricted", each[:2],
                ).fetchone())
                for each in erasures
            ]  # fmt: skip
            found = [each for each, row in rows if row is not None]
            if not found:
                return
            after = min(each[3] for each in found)
            if self._spool.last() - after > MOST_LOOKED_THROUGH:
                return
            waiting = {
                msgspec.json.decode(row, type=Install).install
                for (row,) in self._spool.db.execute(
                    "SELECT usage FROM beacons WHERE seq > ? AND usage != x''", (after,)
                )
            }
            gone = [(who,) for who, _, pseudonyms, _ in found if pseudonyms["usage"] not in waiting]
            self._spool.db.executemany("DELETE FROM install_states WHERE who = ?", gone)
            self._spool.db.execute("UPDATE decisions SET forgotten = ?", (self._next_version(),))

    def _find(self, who: int) -> Decision | None:
        row = self._spool.db.execute(f"SELECT {_COLUMNS} FROM install_states WHERE who = ?", (who,)).fetchone()  # noqa: S608
        return _decision(row) if row else None

    def _put(self, decision: Decision, *, shared: bool) -> int:
        version, state = self._next_version(), decision.state
        self._spool.db.execute(
            "REPLACE INTO install_states VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                decision.who,
                state.epoch,
                state.erased,
                state.objected,
                state.restricted,
                decision.revision,
                version,
                shared,
            ),
        )
        return version

    def _next_version(self) -> int:
        self._spool.db.execute("UPDATE decisions SET version = version + 1")
        return self._spool.version()

    def _next_revision(self, now: float) -> int:
        (known,) = self._spool.db.execute("SELECT revision FROM decisions").fetchone()
        revision = max(int(now * 1e6), int(known) + 1)
        self._raise(revision)
        return revision

    def _raise(self, revision: int) -> None:
        self._spool.db.execute("UPDATE decisions SET revision = max(revision, ?)", (revision,))


def decided(before: InstallState, action: str, now: float) -> InstallState:
    """Return the state of an install after a request for `action`."""
    match action:
        case "erase":
            return replace(before, epoch=before.epoch + 1, erased=now)
        case "object":
            return replace(before, objected=True)
        case "restrict":
            return replace(before, restricted=True)
        case "lift":
            return replace(before, objected=False, restricted=False)
    return before


def _merged(newer: Decision, older: Decision) -> Decision:
    """Return the newer decision with the erasures of both, because an erasure is final."""
    epoch, erased = max(newer.state.epoch, older.state.epoch), max(newer.state.erased, older.state.erased)
    return replace(newer, state=replace(newer.state, epoch=epoch, erased=erased))


def _decision(row: tuple[int, int, float, int, int, int]) -> Decision:
    who, epoch, erased, objected, restricted, revision = row
    return Decision(who, InstallState(epoch, erased, bool(objected), bool(restricted)), revision)
