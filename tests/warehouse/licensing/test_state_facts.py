"""The rules' facts from states are those that ClickHouse makes of the sightings, and so are all findings."""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.planes import SOURCE_INSTALL, Planes, encode
from core.home import Home
from core.settings import Settings
from tests.licensing import labelled
from tests.licensing.measure import SECRET, play
from tests.warehouse.licensing import sightings_oracle
from warehouse.engine import Engine
from warehouse.licensing import registry, state_facts, whole_modules
from warehouse.licensing.facts import Holder, Install, Terms
from warehouse.licensing.rules import RULES, shared_key
from warehouse.licensing.state_codec import Seal
from warehouse.licensing.state_rows import Pair
from warehouse.licensing.states import DAY, NOWHERE, Place, Report, State, merged, of_report, trimmed

SEAL = Seal.of_root(b"root secret")
LIMITS = Settings()


@pytest.fixture(scope="module")
def now() -> datetime:
    return labelled.today().replace(microsecond=0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, now: datetime) -> Iterator[Engine]:
    """A labelled fleet that was loaded the real way, and its reports also in clear, for the oracle."""
    folder: Path = tmp_path_factory.mktemp("home")
    home = Home(folder)
    engine = Engine(Settings(home=folder), home)
    fleet, planes = labelled.fleet(11, now, each=2), Planes(SECRET)
    play(fleet, engine, folder)
    lines = []
    drawn = random.Random(5)
    for address, beacon in (each for install in fleet.installs for each in install.beacons):
        row = planes.split(beacon, address, now, keep_date=True).license
        row["received"] = int(drawn.random() < 0.8)  # some were delivered days later
        del row[SOURCE_INSTALL]
        lines.append(encode({**row, "counted": 1, "in_state": 1}))
    engine.insert("license_sightings", lines, "the same in clear")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def states(engine: Engine, now: datetime) -> dict[Pair, State]:
    """The state of each install, merged of its sightings in any order.

    Three days ago a pass sealed what was there. Of the week before it, half of the reports came after it.
    """
    passed = now - timedelta(days=3)
    there: dict[Pair, list[State]] = {}
    late: dict[Pair, list[State]] = {}
    rows = engine.query(
        "SELECT module::String, install, toUnixTimestamp(toDateTime(time)), status::String, key, source::String, "
        "version::String, received = 1, country::String, ip, ip_claim FROM license_sightings FINAL"
    )
    drawn = random.Random(3)
    drawn.shuffle(rows)
    for module, install, time, status, key, source, version, received, country, *place in rows:
        report = Report(status, key, source, version, bool(received), country)
        before = (passed.timestamp() - time) / DAY
        parts = there if before > 7 or (before > 0 and drawn.random() < 0.5) else late
        parts.setdefault((module, install), []).append(of_report(time, report, Place(*place)))
    found = {}
    for pair in there.keys() | late.keys():
        sealed = SEAL.seal(*pair, trimmed(merged(there.get(pair, [])), passed))
        found[pair] = trimmed(merged([*late.get(pair, []), SEAL.unseal(*pair, sealed)]), now)
    return found


def facts(states: Mapping[Pair, State], now: datetime) -> dict[Pair, Install]:
    return {
        (module, install): state_facts.install(module, install, state, now, LIMITS.cloned_networks, LIMITS.cloned_days)
        for (module, install), state in states.items()
    }


def days_of_networks(by_day: Mapping[date, frozenset[int]]) -> list[list[date]]:
    """Return the days of each network. The networks themselves are named differently."""
    days: dict[int, list[date]] = {}
    for day, networks in sorted(by_day.items()):
        for network in networks:
            days.setdefault(network, []).append(day)
    return sorted(days.values())


def test_installs_are_known_as_from_the_sightings(engine: Engine, states: dict[Pair, State], now: datetime) -> None:
    """The runs, the version, the grade and the networks of each install of the fleet."""
    wanted = sightings_oracle.installs(engine, states, now, LIMITS.cloned_networks, LIMITS.cloned_days)
    found = facts(states, now)
    assert found.keys() == wanted.keys()
    assert len(found) > 100
    assert any(install.networks for install in found.values())
    assert any(len(install.runs) > 3 for install in found.values())
    for pair, install in found.items():
        expected = wanted[pair]
        assert (install.runs, install.version) == (expected.runs, expected.version)
        assert days_of_networks(install.networks) == days_of_networks(expected.networks)
        assert days_of_networks(install.received) == days_of_networks(expected.received)


def test_holders_of_a_key_are_known_as_from_the_sightings(
    engine: Engine, states: dict[Pair, State], now: datetime
) -> None:
    """The holders of each key, with their days, and who shares an address with whom."""
    keys = {(module, run.key) for (module, _), one in facts(states, now).items() for run in one.runs if run.key}
    wanted = sightings_oracle.holders(engine, keys, now)
    found: dict[tuple[str, int], list[Holder]] = {}
    for (module, install), state in states.items():
        key, holder = state_facts.holder(install, state, now)
        if key:
            found.setdefault((module, key), []).append(holder)
    assert found.keys() == wanted.keys()
    assert any(len(holders) > 2 for holders in found.values())
    for pair, holders in found.items():
        assert told(holders) == told(wanted[pair])


def told(holders: list[Holder]) -> list[tuple[object, ...]]:
    """Return the holders in order, their places as the holders that have them too."""
    return sorted(
        (
            each.install,
            each.first,
            sorted(each.days),
            sorted(sorted(other.install for other in holders if place in other.places) for place in each.places),
            each.met,
            sorted(each.received),
        )
        for each in holders
    )


def test_each_rule_finds_the_same(engine: Engine, states: dict[Pair, State], now: datetime) -> None:
    """All rules, over the registry of the fleet: the same findings, word for word."""
    wanted = sightings_oracle.installs(engine, states, now, LIMITS.cloned_networks, LIMITS.cloned_days)
    found = facts(states, now)
    keys = {run.key for install in wanted.values() for run in install.runs if run.key}
    terms = Terms(
        LIMITS,
        now,
        registry.history(engine, keys),
        registry.modules(engine),
        whole_modules.cohorts(engine, now),
        sources=frozenset({labelled.SOURCE}),
    )
    hits = set()
    for pair in states:
        for rule in RULES:
            if rule.find:
                finding = rule.find(found[pair], terms)
                assert finding == rule.find(wanted[pair], terms)
                hits |= {rule.name} if finding else set()
    holders: dict[tuple[str, int], list[Holder]] = {}
    for (module, install), state in states.items():
        key, holder = state_facts.holder(install, state, now)
        holders.setdefault((module, key), []).append(holder)
    for (module, key), expected in sightings_oracle.holders(engine, [each for each in holders if each[1]], now).items():
        known = terms.known(module, key)
        in_question = shared_key.find(key, holders[module, key], known, terms)
        assert in_question == shared_key.find(key, expected, known, terms)
        hits |= {"shared_key"} if in_question else set()
    assert hits == {rule.name for rule in RULES}


LICENSED = Report("licensed", 7, "whmcs", "3.2.1", True, "DE")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def known(*sightings: tuple[datetime, Report]) -> Install:
    state = merged(of_report(int(time.timestamp()), report, NOWHERE) for time, report in sightings)
    return state_facts.install("invoice_pro", 1, state, NOON, 3, 4)


@given(st.permutations([0, 1, 2, 3, 4]))
def test_a_report_that_comes_late_falls_into_its_run(order: list[int]) -> None:
    """Ten unlicensed days with a licensed one among them are two runs, whenever that day is loaded."""
    unlicensed = LICENSED._replace(status="unlicensed")
    days = [(NOON - timedelta(days=4 - n), LICENSED if n == 2 else unlicensed) for n in range(5)]
    runs = known(*(days[n] for n in order)).runs
    assert [(run.status, run.since, run.until) for run in runs] == [
        ("unlicensed", days[0][0], days[1][0]),
        ("licensed", days[2][0], days[2][0]),
        ("unlicensed", days[3][0], days[4][0]),
    ]


def test_of_two_reports_of_one_second_the_greater_one_is_the_later() -> None:
    """No id of a beacon is needed to say which is the latest, and both orders of loading say the same."""
    newer = LICENSED._replace(version="3.3.0")
    assert known((NOON, LICENSED), (NOON, newer)).version == "3.3.0"
    assert known((NOON, newer), (NOON, LICENSED)).version == "3.3.0"


def test_a_day_shows_three_changes_between_two_statuses_at_most() -> None:
    """What flaps within one day alone is no four changes."""
    unlicensed = LICENSED._replace(status="unlicensed")
    turns = [(NOON - timedelta(hours=hour), LICENSED if hour % 2 else unlicensed) for hour in range(8)]
    assert len(known(*turns).runs) == 4


@given(
    st.lists(st.integers(0, DAY - 1), min_size=60, max_size=60),
    st.lists(
        st.tuples(
            st.integers(0, 60 * DAY - 1),
            st.builds(
                LICENSED._replace, status=st.sampled_from(["licensed", "unlicensed"]), key=st.sampled_from([0, 7])
            ),
        ),
        max_size=8,
    ),
)
def test_times_that_are_not_kept_decide_nothing(daily: list[int], others: list[tuple[int, Report]]) -> None:
    """Sixty days with a report each, and some others: the runs begin and end at the same second."""
    start = int(NOON.timestamp()) // DAY - 60
    said = [(day * DAY + second, LICENSED) for day, second in enumerate(daily)] + others
    whole = merged(of_report(start * DAY + time, report, NOWHERE) for time, report in said)
    kept = trimmed(whole, NOON)
    assert kept != whole
    assert state_facts.install("invoice_pro", 1, kept, NOON, 3, 4) == state_facts.install(
        "invoice_pro", 1, whole, NOON, 3, 4
    )
    assert state_facts.holder(1, kept, NOON) == state_facts.holder(1, whole, NOON)


def at_places(*sightings: tuple[float, str]) -> State:
    """Return the state of an install that reported some days ago from these addresses."""
    return merged(
        of_report(int((NOON - timedelta(days=ago)).timestamp()), LICENSED, Place(address, ""))
        for ago, address in sightings
    )


def test_networks_are_told_where_several_recur() -> None:
    """A /16 of IPv4 or a /32 of IPv6 is one. A day with too few of them, or too few such days, tells nothing."""
    three = ("203.0.113.9", "198.51.100.7", "2001:db8:1::1")
    same = ("203.0.7.9", "198.51.3.7", "2001:db8:2::1")
    state = at_places(*((day, address) for day in range(3) for address in (*three, *same)), (3, three[0]), (3, same[0]))
    seen = state_facts.install("invoice_pro", 1, state, NOON, 3, 3).networks
    assert {day: len(networks) for day, networks in seen.items()} == {
        (NOON - timedelta(days=day)).date(): 3 for day in range(3)
    }
    assert len(frozenset().union(*seen.values())) == 3
    assert state_facts.install("invoice_pro", 1, state, NOON, 3, 4).networks == {}
    assert state_facts.install("invoice_pro", 1, state, NOON, 4, 1).networks == {}


@pytest.mark.parametrize("status", ["trial", "unknown", "invalid", "expired"])
def test_an_install_holds_a_key_on_the_days_on_which_it_claims_a_license_with_it(status: str) -> None:
    """A sample key for all trials is shared by none. An unknown status says nothing, and another key is another one."""
    always = [of_report(int((NOON - timedelta(days=ago)).timestamp()), LICENSED, NOWHERE) for ago in range(9, 3, -1)]
    other = LICENSED._replace(status=status)
    later = [of_report(int((NOON - timedelta(days=ago)).timestamp()), other, NOWHERE) for ago in range(3, -1, -1)]
    assert state_facts.holder(1, merged(later), NOON)[1].days == frozenset()
    key, holder = state_facts.holder(1, merged([*always, *later]), NOON)
    claimed = frozenset({(NOON - timedelta(days=ago)).date() for ago in range(9, 3, -1)} if status == "unknown" else ())
    assert (key, holder.days, holder.received) == (7, claimed, claimed)
    new = of_report(int(NOON.timestamp()) + 1, LICENSED._replace(key=8), NOWHERE)
    assert state_facts.holder(1, merged([*always, new]), NOON)[1].days == {NOON.date()}


def test_a_holder_has_the_days_and_places_of_thirty_days() -> None:
    """Its first report may be older. It has the days apart on which a report arrived on the day that it states."""
    key, holder = state_facts.holder(1, at_places((40, "198.51.100.7"), (2, "203.0.113.9"), (1, "203.0.113.9")), NOON)
    assert (key, holder.first, holder.met) == (7, NOON - timedelta(days=40), NOON - timedelta(days=40))
    assert holder.received == holder.days
    assert holder.days == {(NOON - timedelta(days=day)).date() for day in (1, 2)}
    _, neighbor = state_facts.holder(2, at_places((1, "203.0.113.9")), NOON)
    assert holder.places == neighbor.places
    imported = of_report(int(NOON.timestamp()), LICENSED._replace(received=False), Place("", "203.0.113.9"))
    _, both = state_facts.holder(1, merged([at_places((1, "203.0.113.9")), imported]), NOON)
    assert both.days - both.received == {NOON.date()}
    assert both.met == NOON - timedelta(days=1)
    assert both.places == holder.places
