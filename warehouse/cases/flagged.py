"""Reads the flagged installs: since when they are flagged, and what they reported then and since."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from warehouse.cases.listing import CASES
from warehouse.cases.revisions import DISMISSED, RESOLVED
from warehouse.engine import Engine
from warehouse.licensing import state_rows
from warehouse.licensing.states import DAY, State, moments

LICENSED = "licensed"
# Installs that are unsealed for one question: a second of work. Of more, this many are a random sample.
MOST = 10_000
PORTION = 2000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The installs whose first flag is new enough, or whose flags hold (`suspect`); `real` if all their cases are resolved.
# The limit takes the installs with the lowest pseudonyms, which are a random sample.
_FLAGGED = f"""
SELECT module, install, raised, suspect, real, count() OVER ()
FROM (
    SELECT module::String AS module, install, min(at) AS raised FROM license_flags
    WHERE {{module:String}} = '' OR module = {{module:String}} GROUP BY module, install
) AS flagged
LEFT JOIN (
    SELECT module, arrayJoin(installs) AS install, min(state = '{RESOLVED}') AS real, 1 AS suspect
    FROM ({CASES.replace("{where}", "1").replace("{decided}", "1")})
    WHERE notEmpty(rules) AND state != '{DISMISSED}' GROUP BY module, install
) AS suspects USING (module, install)
WHERE raised >= {{since:Date}} OR suspect
ORDER BY install, module LIMIT {{most:UInt32}}
"""  # noqa: S608


@dataclass(frozen=True)
class Flagged:
    """A module on an install with flags.

    `raised` is when it was first flagged, `before` the status that it reported then ("" for none), `licensed` when it
    first reported `licensed` after that, `now` its latest status, `last` its last day and `versions` those of that day.
    `suspect` says whether a flag holds in a case that is not dismissed, `real` whether all these cases are resolved.
    """

    module: str
    raised: datetime
    suspect: bool
    real: bool
    before: str
    licensed: datetime | None
    now: str
    last: date
    versions: frozenset[str]


def flagged(reader: Engine, module: str, since: date) -> tuple[list[Flagged], float]:
    """Return the installs that were first flagged from `since` on or are suspects, and which part of them was read.

    Installs without reports are left out. Raises `EngineError`.
    """
    rows = reader.query(_FLAGGED, {"module": module, "since": since.isoformat(), "most": MOST})
    known = {(name, install): flags for name, install, *flags, _ in rows}
    found, pairs = [], sorted(known)
    for start in range(0, len(pairs), PORTION):
        for pair, state in state_rows.read(reader, pairs[start : start + PORTION]).items():
            raised, suspect, real = known[pair]
            found.append(made(pair[0], raised.replace(tzinfo=UTC), state, suspect=bool(suspect), real=bool(real)))
    return found, len(rows) / rows[0][-1] if rows else 1.0


def made(module: str, raised: datetime, state: State, *, suspect: bool, real: bool) -> Flagged:
    """Return a flagged install with what its state says. Pure."""
    reports = sorted((time, report) for (report, _), days in state.seen.items() for time in moments(days))
    before, licensed, moment = "", None, raised.timestamp()
    for time, report in reports:
        if time <= moment:
            before = report.status
        elif report.status == LICENSED:
            licensed = _EPOCH + timedelta(seconds=time)
            break
    last = reports[-1][0] // DAY
    versions = frozenset(report.version for time, report in reports if time // DAY == last)
    day = (_EPOCH + timedelta(days=last)).date()
    return Flagged(module, raised, suspect, real, before, licensed, reports[-1][1].status, day, versions)
