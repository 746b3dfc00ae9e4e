"""What is known about a case: its flags, its installs and what they reported, its owners' statements, the incidents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import msgspec

from warehouse.cases.keys import registered
from warehouse.cases.subjects import Subject
from warehouse.engine import Engine
from warehouse.licensing import key_holders, registry, state_rows
from warehouse.licensing.rules import shared_key
from warehouse.licensing.state_codec import Unreadable
from warehouse.licensing.state_reports import latest, reports
from warehouse.licensing.states import Report, State, trimmed
from warehouse.server_users import ServerUser

MOST_INSTALLS = 50
# Latest reports that are compared to find what changed.
MOST_REPORTS = 20_000
MOST_EVENTS = 300


@dataclass(frozen=True)
class Flagged:
    """A revision of a flag. `pieces` are the evidence, each a text and its grade."""

    install: int
    rule: str
    revision: int
    event: str
    at: datetime
    since: datetime
    severity: str
    grade: str
    reach: int
    pieces: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True)
class Reported:
    """The latest report of an install. `key` is a pseudonym, 0 for none."""

    install: int
    status: str
    version: str
    source: str
    key: int
    country: str
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` is report, flag, statement, incident; `text` says what, without an address."""

    at: datetime
    kind: str
    text: str
    install: int = 0


@dataclass(frozen=True)
class Dossier:
    """The newest revision of each flag, the installs of the case, others with the same keys, and all events.

    `installs` are those in question: with a flag that holds, or if none holds any more, with one that did. `cases` are
    the installs, of these and the others, that have a case of their own. `registered` says what the vendor's registry
    knows of each key of the case; None if it does not know the key. `has_registry` is whether the registry has any key
    of the module. `measured` says of a shared key on which days too many installs used it. `unreadable` is why the
    reports cannot be read: then installs, their keys and the events of their reports are missing.
    """

    flags: list[Flagged]
    registered: dict[int, str | None]
    has_registry: bool
    installs: list[Reported]
    others: list[Reported]
    events: list[Event]
    cases: set[int]
    measured: str = ""
    unreadable: str = ""

    @property
    def users(self) -> str:
        """How many installs have used the keys of the case."""
        number = len(self.installs) + len(self.others)
        capped = len(self.installs) >= MOST_INSTALLS or len(self.others) >= MOST_INSTALLS
        return f"{number} or more" if capped else f"{number}"


def dossier(engine: Engine, subject: Subject) -> Dossier:
    """Return what is known about a case. Raises `EngineError`."""
    reader = engine.as_user(ServerUser.LICENSING)
    states = _States(reader, subject.module)
    history = _flags(reader, subject)
    newest = {(flag.install, flag.rule): flag for flag in history}
    flagged = {subject.install} if subject.install else {flag.install for flag in newest.values()}
    holding = {flag.install for flag in newest.values() if flag.event != "cleared"}
    in_question = holding or flagged
    installs = _reported(states, in_question)
    keys = {subject.key} if subject.key else {report.key for report in installs if report.key}
    others = _reported(states, _holders(reader, subject.module, keys) - in_question)
    events = [
        *_flag_events(history),
        *_report_events(states.of(sorted(flagged)[:MOST_INSTALLS])),
        *_statements(reader, subject.module, flagged),
        *_incidents(reader, subject.module),
    ]
    events = sorted(events, key=lambda event: event.at, reverse=True)[:MOST_EVENTS]
    entries, has_registry = registered(reader, keys), subject.module in registry.modules(reader)
    pieces = [flag.pieces[0] for flag in sorted(newest.values(), key=lambda flag: (flag.event != "cleared", flag.at))]
    measured = _measured(reader, subject, pieces[-1][1]) if subject.key and pieces and not states.unreadable else ""
    cases = _with_case(reader, subject.module, [report.install for report in (*installs, *others)])
    return Dossier(
        list(newest.values()),
        {key: entries.get((subject.module, key)) for key in keys},
        has_registry,
        installs,
        others,
        events,
        cases,
        measured,
        states.unreadable,
    )


class _States:
    """The states of a module's installs. The first one that cannot be read says why, and then none is read."""

    def __init__(self, reader: Engine, module: str) -> None:
        self._reader, self._module = reader, module
        self.now = datetime.now(UTC)
        self._known: dict[int, State] = {}
        self.unreadable = ""

    def of(self, installs: Iterable[int]) -> dict[int, State]:
        """Return the states of these installs. One without reports is missing. Raises `EngineError`."""
        asked = list(installs)
        if (unread := {(self._module, each) for each in asked if each not in self._known}) and not self.unreadable:
            try:
                found = state_rows.read(self._reader, unread)
            except Unreadable as error:
                self.unreadable = str(error)
            else:
                self._known |= {install: trimmed(parts, self.now) for (_, install), parts in found.items()}
        return {each: self._known[each] for each in asked if each in self._known and self._known[each].seen}


def _flags(reader: Engine, subject: Subject) -> list[Flagged]:
    column = "key" if subject.key else "install"
    rows = reader.query(
        "SELECT install, rule, revision, event, at, since, severity, grade, reach, evidence, pieces, why "  # noqa: S608
        f"FROM license_flags WHERE module = {{module:String}} AND {column} IN {{numbers:Array(UInt64)}} "
        "AND key = {key:UInt64} ORDER BY install, rule, revision",
        {"module": subject.module, "numbers": [subject.key or subject.install], "key": subject.key},
    )
    return [
        Flagged(install, rule, revision, event, _aware(at), _aware(since), severity, grade, reach,
                _pieces(pieces) or ((evidence, grade),), why)
        for install, rule, revision, event, at, since, severity, grade, reach, evidence, pieces, why in rows
    ]  # fmt: skip


def _pieces(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((piece["text"], piece["grade"]) for piece in msgspec.json.decode(text))


def _holders(reader: Engine, module: str, keys: Iterable[int]) -> set[int]:
    rows = reader.query_each(
        "SELECT DISTINCT install FROM license_keys WHERE module = {module:String} AND key IN {keys:Array(UInt64)} "  # noqa: S608
        f"ORDER BY install LIMIT {2 * MOST_INSTALLS}",
        "keys",
        set(keys),
        {"module": module},
    )
    return {install for (install,) in rows}


def _measured(reader: Engine, subject: Subject, grade: str) -> str:
    """Return what the reports show now; a flag's evidence is of when it last changed. `grade` is that of its days."""
    key = (subject.module, subject.key)
    try:
        holders = key_holders.holders(reader, [key], datetime.now(UTC)).get(key, [])
    except Unreadable as error:
        return f"What the reports of the last 30 days show cannot be read: {error}."
    known = registry.history(reader, [subject.key]).get(subject.key, {}).get(subject.module)
    return shared_key.measured(shared_key.received(holders) if grade == "recorded" else holders, known)


def _with_case(reader: Engine, module: str, installs: Iterable[int]) -> set[int]:
    """Return the installs with a flag that is about themselves and not about a key."""
    rows = reader.query_each(
        "SELECT DISTINCT install FROM (SELECT install, rule, argMax(key, revision) AS about FROM license_flags "
        "WHERE module = {module:String} AND install IN {installs:Array(UInt64)} GROUP BY install, rule) "
        "WHERE about = 0",
        "installs",
        sorted(installs),
        {"module": module},
    )
    return {install for (install,) in rows}


def _reported(states: _States, installs: Iterable[int]) -> list[Reported]:
    """Return the latest reports, the earliest install first."""
    found = []
    for install, state in states.of(sorted(installs)[: 2 * MOST_INSTALLS]).items():
        if seen := latest(state, states.now):
            said = seen.report
            values = said.status, said.version, said.source, said.key, said.country
            found.append(Reported(install, *values, seen.first_seen, seen.last_seen))
    return sorted(found, key=lambda report: (report.first_seen, report.install))[:MOST_INSTALLS]


def _flag_events(history: Sequence[Flagged]) -> list[Event]:
    """Return the flags' events. One about a key happens to all its installs at once, and is told once."""
    found: dict[tuple[datetime, str, str], Event] = {}
    for flag in history:
        why = "" if flag.event == "raised" else f": {flag.why.removeprefix('changed: ')}"
        text = f"Flag {flag.rule.replace('_', ' ')} {flag.event}{why}"
        found.setdefault((flag.at, flag.rule, flag.event), Event(flag.at, "flag", text))
    return list(found.values())


def _report_events(states: dict[int, State]) -> list[Event]:
    """Return what changed from one report of an install to the next."""
    every = sorted((each.time, install, each) for install, state in states.items() for each in reports(state))
    events: list[Event] = []
    before: dict[int, Report] = {}
    networks: dict[int, set[str]] = {}
    for time, install, (_, report, ip) in every[-MOST_REPORTS:]:
        texts = _differences(before.get(install), report)
        before[install] = report
        if ip and (network := network_of(ip)) not in networks.setdefault(install, set()):
            networks[install].add(network)
            texts.append(f"first connection from the network {network} in 30 days")
        if texts:
            text = ", ".join(texts)
            events.append(Event(datetime.fromtimestamp(time, UTC), "report", text[0].upper() + text[1:], install))
    return events


def _differences(before: Report | None, now: Report) -> list[str]:
    if before is None:
        return [f"reported {now.status}, version {now.version}, source {now.source}, " + _key(now.key)]
    told = (
        ("status ", before.status, now.status),
        ("version ", before.version, now.version),
        ("source ", before.source, now.source),
        ("", _key(before.key), _key(now.key)),
    )
    return [f"{name}{old} → {new}" for name, old, new in told if old != new]


def _key(key: int) -> str:
    return f"key {key:016x}" if key else "no key"


def network_of(ip: str) -> str:
    """Return the network of an address: the /16 of IPv4, the /32 of IPv6."""
    address = ip_address(ip)
    return str(ip_network(f"{address}/{16 if address.version == 4 else 32}", strict=False))


def _statements(reader: Engine, module: str, installs: Iterable[int]) -> list[Event]:
    rows = reader.query_each(
        "SELECT install, stated, version, status, source FROM owner_statements "
        "WHERE module IN ('', {module:String}) AND install IN {installs:Array(UInt64)}",
        "installs",
        set(installs),
        {"module": module},
    )
    found = []
    for install, stated, *fields in rows:
        said = [f"{name} {value}" for name, value in zip(("version", "status", "source"), fields, strict=True) if value]
        found.append(Event(_aware(stated), "statement", f"The owner states: {', '.join(said)}", install))
    return found


def _incidents(reader: Engine, module: str) -> list[Event]:
    rows = reader.query(
        "SELECT since, argMax((affected, installs), written) AS now FROM license_incidents "
        "WHERE module = {module:String} GROUP BY since",
        {"module": module},
    )
    return [
        Event(
            _aware(since), "incident", f"Incident: {affected} of {installs} installs of {module} turned from licensed"
        )
        for since, (affected, installs) in rows
    ]


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
