"""The flags: which events follow from what the rules find now, and their rows in ClickHouse."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from warehouse.engine import Engine
from warehouse.licensing.facts import days
from warehouse.licensing.findings import Finding, in_words
from warehouse.licensing.rules import BY_NAME
from warehouse.licensing.state_rows import Pair

TABLE = "license_flags"
RAISED, CHANGED, PAUSED, RESUMED, CLEARED = "raised", "changed", "paused", "resumed", "cleared"
DISPUTED = "the owner's statement differs from the reports"


@dataclass(frozen=True)
class Flag:
    """The newest revision of a flag."""

    module: str
    install: int
    rule: str
    revision: int
    event: str
    at: datetime
    since: datetime
    until: datetime
    key: int
    severity: str
    grade: str
    reach: int
    evidence: str
    pieces: str
    why: str

    @property
    def open(self) -> bool:
        """Whether the flag holds, also while it is paused."""
        return self.event != CLEARED

    @property
    def paused(self) -> bool:
        """Whether a dispute pauses the flag. A change of a paused flag keeps it paused."""
        return self.event == PAUSED

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What a change of the flag changes. A reach, and the number of days, count as the same until they double.

        A revision each day would show on which days the install reported, and so which one of the usage plane it is.
        """
        return {
            "its start": self.since.date(),
            "the number of days": days(self.since, self.until).bit_length(),
            "the key": self.key,
            "the severity": self.severity,
            "the grade": self.grade,
            "the evidence": self.evidence.replace(f"{self.until:%Y-%m-%d}", ""),
            "the reach": self.reach.bit_length(),
        }


_COLUMNS = (
    "module, install, rule, revision, event, at, since, until, key, severity, grade, reach, evidence, pieces, why"
)


def event(
    pair: Pair, rule: str, finding: Finding | None, before: Flag | None, *, disputed: bool, now: datetime, why: str = ""
) -> Flag | None:
    """Return the next revision of a flag, None if nothing changes. Pure."""
    if finding is None:
        if before is None or not before.open:
            return None
        return _next(before, CLEARED, now, why or "the evidence no longer holds")
    if before is not None and before.open and _keeps_start(before, finding):
        finding = finding.begun(before.since)
    grade = finding.grade
    pieces = msgspec.json.encode([{"text": each.text, "grade": each.grade} for each in finding.pieces]).decode()
    made = Flag(
        *pair, rule, 1, RAISED, now, finding.since, finding.until, finding.key, BY_NAME[rule].severity_of(grade), grade,
        finding.reach, in_words(finding.pieces), pieces, "the evidence holds",
    )  # fmt: skip
    if before is None or not before.open:
        # A flag that is disputed when it is raised is paused at once.
        started = made if before is None else _next(made, RAISED, now, made.why, before.revision)
        return _next(started, PAUSED, now, DISPUTED, started.revision - 1) if disputed else started
    if disputed != before.paused:
        return _next(
            made, PAUSED if disputed else RESUMED, now, DISPUTED if disputed else "the dispute ended", before.revision
        )
    if made.fingerprint != before.fingerprint:
        return _next(made, PAUSED if disputed else CHANGED, now, _difference(before, made), before.revision)
    return None


def _keeps_start(before: Flag, finding: Finding) -> bool:
    """Return whether a flag that judges the last days keeps its start. What is recorded does not begin with a claim."""
    told = msgspec.json.decode(before.pieces)
    is_claim = bool(told) and told[0]["grade"] == "claimed"
    claimed_before = is_claim and finding.pieces[0].grade != "claimed"
    return BY_NAME[before.rule].windowed and before.since < finding.since and not claimed_before


def _next(flag: Flag, kind: str, now: datetime, why: str, revision: int | None = None) -> Flag:
    number = (flag.revision if revision is None else revision) + 1
    return replace(flag, revision=number, event=kind, at=now, why=why)


def _difference(before: Flag, after: Flag) -> str:
    was = before.fingerprint
    return f"changed: {', '.join(name for name, value in after.fingerprint.items() if was[name] != value)}"


def write(engine: Engine, flags: Sequence[Flag], token: str) -> None:
    """Insert revisions. Raises `EngineError`."""
    if flags:
        lines = [
            msgspec.json.encode(_line(flag))
            for flag in sorted(flags, key=lambda one: (one.module, one.install, one.rule))
        ]
        engine.of(TABLE).insert(TABLE, lines, token)


def _line(flag: Flag) -> dict[str, Any]:
    row = {name: getattr(flag, name) for name in Flag.__dataclass_fields__}
    return {
        **row,
        "at": flag.at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds"),
        **{name: f"{row[name].astimezone(UTC):%Y-%m-%d %H:%M:%S}" for name in ("since", "until")},
    }


def latest(engine: Engine, installs: Collection[int]) -> dict[tuple[Pair, str], Flag]:
    """Return the newest revision of each flag of these installs. Raises `EngineError`."""
    found = engine.of(TABLE).query_each(
        f"SELECT {_COLUMNS} FROM {TABLE} WHERE install IN {{installs:Array(UInt64)}} "  # noqa: S608
        "ORDER BY module, install, rule, revision DESC LIMIT 1 BY module, install, rule",
        "installs",
        installs,
    )
    return {((flag.module, flag.install), flag.rule): flag for flag in map(flag_of, found)}


def disputed(engine: Engine, installs: Collection[int]) -> set[Pair]:
    """Return the (module, install) that have an owner's statement; a module "" means all. Raises `EngineError`."""
    found = engine.of("owner_statements").query_each(
        "SELECT DISTINCT module, install FROM owner_statements WHERE install IN {installs:Array(UInt64)}",
        "installs",
        installs,
    )
    return {(module, install) for module, install in found}


def is_disputed(pair: Pair, statements: Collection[Pair]) -> bool:
    """Return whether one of these statements is about a pair."""
    return pair in statements or ("", pair[1]) in statements


def flag_of(row: Iterable[Any]) -> Flag:
    """Return the flag of a row with the columns of the table."""
    values = list(row)
    for place in (5, 6, 7):
        values[place] = values[place].replace(tzinfo=UTC)
    return Flag(*values)


def by_pair(flags: Iterable[Flag]) -> Mapping[Pair, list[Flag]]:
    """Return the flags of each pair."""
    found: dict[Pair, list[Flag]] = {}
    for flag in flags:
        found.setdefault((flag.module, flag.install), []).append(flag)
    return found
