"""When the installs of cases last reported: a flag stays while they are silent."""

from collections.abc import Iterable
from datetime import UTC, datetime

from warehouse.cases.listing import Case
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.licensing import state_reports, state_rows
from warehouse.licensing.state_codec import Unreadable
from warehouse.server_users import ServerUser


def last_reports(engine: Engine, cases: Iterable[Case]) -> dict[Subject, datetime]:
    """Return the latest report of each case, of its `some_installs`. Raises `EngineError`.

    A case is missing if its installs have no reports any more. All are missing if reports cannot be read here.
    """
    pairs = {case.subject: [(case.subject.module, install) for install in case.some_installs] for case in cases}
    try:
        states = state_rows.read(
            engine.as_user(ServerUser.LICENSING), {pair for each in pairs.values() for pair in each}
        )
    except Unreadable:
        return {}
    now = datetime.now(UTC)
    times = {pair: found.last_seen for pair, state in states.items() if (found := state_reports.latest(state, now))}
    return {
        subject: max(known)
        for subject, each in pairs.items()
        if (known := [times[pair] for pair in each if pair in times])
    }
