"""Judges installs and their keys: reads the facts, asks the rules, and writes the events of their flags."""

import hashlib
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from core.catalog import Catalog
from core.thresholds import Thresholds
from warehouse import install_data
from warehouse.engine import Engine
from warehouse.licensing import flags, incidents, key_holders, registry, state_facts, state_rows, whole_modules
from warehouse.licensing.facts import Cohort, Incident, Install, Terms
from warehouse.licensing.findings import Finding
from warehouse.licensing.key_holders import Key
from warehouse.licensing.rules import BY_NAME, RULES, shared_key
from warehouse.licensing.rules.missing_key import MISSING_KEY
from warehouse.licensing.rules.shared_key import SHARED_KEY
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import State, dated, trimmed
from warehouse.server_users import ServerUser

INCIDENTS = "license_incidents"
# What concerns a whole module is read again when it is older than this, or than `RATIO` times what the reading took.
SECONDS = 2.0
RATIO = 20.0


class Judge:
    """Judges for one loader. Use it in one thread. `catalog` returns the catalog, `clock` the wall time."""

    def __init__(
        self,
        engine: Engine,
        thresholds: Thresholds,
        catalog: Callable[[], Catalog],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._reader = engine, engine.as_user(ServerUser.LICENSING)
        self._loading = engine.as_user(ServerUser.LOADER)
        self._thresholds, self._catalog = thresholds, catalog
        self._clock, self._steady = clock, steady
        self._read_at = self._stale_at = float("-inf")
        self._changed: set[str] = set()
        self._modules: frozenset[str] = frozenset()
        self._cohorts: dict[tuple[str, str], Cohort] = {}
        self.incidents: list[Incident] = []
        # The installs of which a report could not be read, until somebody clears it.
        self.unreadable: set[Pair] = set()

    def take_changed(self) -> set[str]:
        """Return the modules whose incidents begin or end at another time than at the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def refresh(self, *, anew: bool = False) -> None:
        """Read what concerns whole modules, if it is old. Raises `EngineError`."""
        began = self._steady()
        if began < self._stale_at and not anew:
            return
        now = self._now()
        self._modules = registry.modules(self._reader)
        self._cohorts = whole_modules.cohorts(self._reader, now)
        found = incidents.find(*whole_modules.turns(self._reader, now), self._thresholds)
        found = [incidents.ended(each, now, self._thresholds) for each in found]
        if {*found} ^ {*self.incidents}:
            self._write_incidents([each for each in found if each not in self.incidents], now)
            self._changed |= {module for module, *_ in _spans(found) ^ _spans(self.incidents)}
            self.incidents = found
        self._read_at = began
        self._stale_at = self._steady() + max(SECONDS, RATIO * (self._steady() - began))

    def judge(
        self,
        pairs: Collection[Pair],
        leave: Collection[int] = (),
        loaded_at: float = float("-inf"),
        *,
        held: Collection[Pair] = (),
        write: bool = False,
    ) -> int:
        """Judge installs, and all holders of their keys; returns the number of events. `leave` are left alone,
        and what cannot be read. The flags of `held` stay as they are.

        `loaded_at` is when the newest of their reports was loaded (`steady`): no flag is raised before the incidents
        are known up to then. `write` also writes the state of each install anew, as one row. Raises
        `EngineError`. Repeating it changes nothing.
        """
        self.refresh()
        now = self._now()
        limits = self._thresholds
        states = {
            pair: state
            for pair, parts in state_rows.read(self._reader, pairs, self.unreadable).items()
            if (state := trimmed(parts, now)).seen
        }
        pairs = [pair for pair in pairs if pair in states or pair not in self.unreadable]
        known = {
            pair: state_facts.install(*pair, state, now, limits.cloned_networks, limits.cloned_days)
            for pair, state in states.items()
        }
        terms = self._terms(known, now)
        found = _found(pairs, known, terms)
        if self._read_at < loaded_at and any(finding and BY_NAME[rule].guarded for (_, rule), finding in found.items()):
            self.refresh(anew=True)
            terms = replace(terms, incidents=self.incidents)
            found = _found(pairs, known, terms)
        found |= self._shared(known, terms)
        gone = install_data.retired(self._engine, "license", {install for (_, install), _ in found}) | set(leave)
        if write:
            self._write_states({pair: dated(state, now) for pair, state in states.items() if pair[1] not in gone})
        return self._write(
            {key: finding for key, finding in found.items() if key[0][1] not in gone and key[0] not in held}, now
        )

    def _terms(self, known: dict[Pair, Install], now: datetime) -> Terms:
        keys = {run.key for install in known.values() for run in install.runs if run.key}
        declared = {name for (kind, name), _ in self._catalog().entries.items() if kind == "source"}
        return Terms(
            self._thresholds,
            now,
            registry.history(self._reader, keys) if keys and self._modules else {},
            self._modules,
            self._cohorts,
            self.incidents,
            frozenset(declared) or None,
        )

    def _shared(self, known: dict[Pair, Install], terms: Terms) -> dict[tuple[Pair, str], Finding | None]:
        """Return what the rule about keys finds, for all holders of the keys of these installs."""
        keys: set[Key] = {(module, install.last.key) for (module, _), install in known.items() if install.last.key}
        most = {key: shared_key.allowed(terms.known(*key)) for key in keys}
        crowded = [
            key
            for key, number in key_holders.shared(self._reader, keys).items()
            if (allowed := most[key]) is not None and number > allowed
        ]
        found: dict[tuple[Pair, str], Finding | None] = {}
        for (module, key), holders in key_holders.holders(self._reader, crowded, terms.now).items():
            in_question = shared_key.find(key, holders, terms.known(module, key), terms)
            found |= {((module, each.install), SHARED_KEY.name): in_question.get(each.install) for each in holders}
        return found

    def _write_states(self, states: dict[Pair, State]) -> None:
        """Write a row for each state. Another loader may begin to erase an install between our reading and writing."""
        state_rows.insert(self._loading, states, secrets.token_hex(16))
        if late := install_data.retired(self._engine, "license", {install for _, install in states}):
            install_data.delete(self._engine, {state_rows.TABLE: late, state_rows.KEYS: late})

    def _write(self, found: dict[tuple[Pair, str], Finding | None], now: datetime) -> int:
        installs = {install for (_, install), _ in found}
        before = flags.latest(self._reader, installs)
        statements = flags.disputed(self._reader, installs)
        events = [
            event
            for (pair, rule), finding in found.items()
            if (
                event := flags.event(
                    pair,
                    rule,
                    finding,
                    before.get((pair, rule)),
                    disputed=flags.is_disputed(pair, statements),
                    now=now,
                )
            )
        ]
        # The same revisions have the same token, so that a repetition after an error is dropped.
        names = "".join(
            sorted(f"{each.module}:{each.install}:{each.rule}:{each.revision};{each.at}" for each in events)
        )
        flags.write(self._loading, events, f"flags {hashlib.sha256(names.encode()).hexdigest()}")
        return len(events)

    def _write_incidents(self, found: Collection[Incident], now: datetime) -> None:
        lines = [
            msgspec.json.encode(
                {
                    "module": each.module,
                    "since": f"{each.since:%Y-%m-%d %H:%M:%S}",
                    "until": f"{each.until:%Y-%m-%d %H:%M:%S}" if each.until else None,
                    "affected": each.affected,
                    "installs": each.installs,
                    "written": now.replace(tzinfo=None).isoformat(" ", "milliseconds"),
                }
            )
            for each in found
        ]
        if lines:
            self._loading.of(INCIDENTS).insert(INCIDENTS, lines, hashlib.sha256(b"\n".join(lines)).hexdigest())

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _found(pairs: Collection[Pair], known: dict[Pair, Install], terms: Terms) -> dict[tuple[Pair, str], Finding | None]:
    """Return what each rule finds about each install. The rule about shared keys finds nothing here."""
    found = {
        (pair, rule.name): rule.find(known[pair], terms) if rule.find and pair in known else None
        for pair in pairs
        for rule in RULES
    }
    for pair, install in known.items():
        cohort = terms.cohorts.get((install.module, install.version))
        if cohort and not cohort.is_told:
            found.pop((pair, MISSING_KEY.name), None)  # its flag stays as it is
    return found


def _spans(incidents: Collection[Incident]) -> set[tuple[str, datetime, datetime | None]]:
    return {(each.module, each.since, each.until) for each in incidents}
