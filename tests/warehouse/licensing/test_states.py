"""Merging states: any order, any repetition and any split say the same, and nothing is kept too long."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.licensing import states
from warehouse.licensing.state_codec import decode, encode
from warehouse.licensing.states import NOWHERE, SOME_TIME, Place, Report, State, merged, of_report, trimmed

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LICENSED = Report("licensed", 7, "whmcs", "3.2.1", True, "DE")
UNLICENSED = LICENSED._replace(status="unlicensed", key=0)

Sighting = tuple[int, Report, Place]


def at(days: float) -> int:
    """Return a time some days ago, in seconds."""
    return int((NOW - timedelta(days=days)).timestamp())


reports = st.builds(
    Report,
    st.sampled_from(["licensed", "unlicensed", "unknown"]),
    st.sampled_from([0, 7, 2**64 - 1]),
    st.sampled_from(["", "whmcs"]),
    st.sampled_from(["3.2.1", "3.3.0"]),
    st.booleans(),
    st.sampled_from(["", "DE"]),
)
places = st.sampled_from(
    [NOWHERE, Place("203.0.113.9", ""), Place("", "2001:db8::1"), Place("198.51.100.7", "203.0.113.9")]
)
# From the hours of a few days to more than 13 months ago.
times = st.one_of(st.integers(at(3), at(0)), st.integers(at(440), at(-1)))
fleets = st.lists(st.tuples(times, reports, places), max_size=40)


def state_of(sightings: Sequence[Sighting]) -> State:
    return merged(of_report(*sighting) for sighting in sightings)


def splits(sightings: list[Sighting], data: st.DataObject) -> list[list[Sighting]]:
    """Return the sightings in another order, some of them twice, in several parts."""
    again = data.draw(st.lists(st.sampled_from(sightings))) if sightings else []
    order = data.draw(st.permutations([*sightings, *again]))
    parts: list[list[Sighting]] = [[] for _ in range(data.draw(st.integers(1, 4)))]
    for each in order:
        parts[data.draw(st.integers(0, len(parts) - 1))].append(each)
    return parts


@given(fleets, st.data())
def test_any_order_repetition_and_split_gives_the_same_state(sightings: list[Sighting], data: st.DataObject) -> None:
    """Two loaders, a batch that is sent again and a pass that was killed change nothing."""
    whole = state_of(sightings)
    parts = [state_of(part) for part in splits(sightings, data)]
    assert encode(merged(parts)) == encode(whole)
    assert encode(merged([whole, *parts, whole])) == encode(whole)


@given(fleets, st.data())
def test_what_is_too_old_goes_whenever_the_parts_are_trimmed(sightings: list[Sighting], data: st.DataObject) -> None:
    """What a pass trimmed says no more and no less in the end, with what came later and what came again."""
    whole = trimmed(state_of(sightings), NOW)
    parts = [state_of(part) for part in splits(sightings, data)]
    passed = NOW - timedelta(days=data.draw(st.integers(0, 60)))
    early = trimmed(state_of([each for each in sightings if each[0] <= passed.timestamp()]), passed)
    assert encode(trimmed(merged([early, *parts]), NOW)) == encode(whole)
    assert encode(trimmed(whole, NOW)) == encode(whole)


@given(fleets, st.data())
def test_a_part_that_was_trimmed_early_loses_times_alone(sightings: list[Sighting], data: st.DataObject) -> None:
    """An import may bring old reports after a pass: each day of each report is kept nevertheless."""
    parts = [state_of(part) for part in splits(sightings, data)]
    early = [trimmed(part, NOW - timedelta(days=data.draw(st.integers(0, 60)))) for part in parts]
    found, whole = trimmed(merged([*early, *parts]), NOW), trimmed(state_of(sightings), NOW)
    assert {said: days.keys() for said, days in found.seen.items()} == {
        said: days.keys() for said, days in whole.seen.items()
    }
    assert found.since == whole.since


@given(
    st.lists(st.tuples(st.integers(at(2), at(0)), st.builds(LICENSED._replace, key=st.integers(0, 30))), max_size=90)
)
@settings(max_examples=60)
def test_a_day_keeps_a_bounded_number_of_different_reports(sightings: list[tuple[int, Report]]) -> None:
    """Whoever sends many different reports a day fills no state, and the order of merging still does not matter."""
    most, states.MOST_A_DAY = states.MOST_A_DAY, 5
    try:
        made = [of_report(time, report, NOWHERE) for time, report in sightings]
        whole = merged(made)
        assert encode(merged([merged(made[::2]), merged(made[1::2]), *made[:3]])) == encode(whole)
    finally:
        states.MOST_A_DAY = most
    by_day: dict[int, int] = {}
    for days in whole.seen.values():
        for day in days:
            by_day[day] = by_day.get(day, 0) + 1
    assert max(by_day.values(), default=0) <= 5


def test_a_day_keeps_the_first_and_the_last_time_of_each_report() -> None:
    """What came and went twice on a day is still seen to have come and gone."""
    day = at(0) // states.DAY
    turns = [(LICENSED, 0), (UNLICENSED, 1), (LICENSED, 2), (UNLICENSED, 3), (LICENSED, 4)]
    state = state_of([(day * states.DAY + hour * 3600, report, NOWHERE) for report, hour in turns])
    assert state.seen[LICENSED, NOWHERE] == {day: states.both(0, 4 * 3600)}
    assert state.seen[UNLICENSED, NOWHERE] == {day: states.both(3600, 3 * 3600)}
    assert list(states.times({day: states.both(3600, 7200)})) == [(day * states.DAY + 3600, day * states.DAY + 7200)]


def test_an_address_goes_after_thirty_days_and_its_report_after_thirteen_months() -> None:
    """The day stays without the address, and joins the same report without one."""
    home = Place("203.0.113.9", "")
    state = trimmed(state_of([(at(day), LICENSED, home) for day in (1, 30, 31, 390, 400)]), NOW)
    kept = {place: sorted(at(0) // states.DAY - day for day in days) for (_, place), days in state.seen.items()}
    assert kept == {home: [1, 30], NOWHERE: [31, 390]}
    assert trimmed(state_of([(at(400), LICENSED, home)]), NOW) == State()


def test_a_time_that_decides_nothing_goes_after_thirty_days() -> None:
    """Times stay of the first and the last day of a report, beside another one, and of days with two."""
    home, today = Place("203.0.113.9", ""), at(0) // states.DAY
    newer = LICENSED._replace(version="3.3.0")
    daily = [(at(day), LICENSED if day > 50 else newer, home) for day in range(60) if day != 40]
    state = trimmed(state_of([*daily, (at(45) + 9, UNLICENSED, home)]), NOW)
    timeless = sorted(
        today - day for days in state.seen.values() for day, number in days.items() if number == SOME_TIME
    )
    assert timeless == [31, 32, 33, 34, 35, 36, 37, 38, 39, 41, 42, 43, 47, 48, 49, *range(52, 59)]
    again = merged([state, state_of(daily)])
    assert trimmed(again, NOW) == state
    assert list(states.moments({today: SOME_TIME, today + 1: states.both(0, 9)})) == [
        today * states.DAY, (today + 1) * states.DAY, (today + 1) * states.DAY + 9,
    ]  # fmt: skip
    assert list(states.times({today: SOME_TIME})) == [(today * states.DAY, (today + 1) * states.DAY - 1)]


def test_when_a_status_was_first_seen_outlives_its_reports_while_it_lasts() -> None:
    """An install that has been licensed for two years says so; what it no longer reports is forgotten."""
    state = state_of([(at(700), LICENSED, NOWHERE), (at(690), UNLICENSED, NOWHERE), (at(1), LICENSED, NOWHERE)])
    assert trimmed(state, NOW).since == {"licensed": at(700)}


@given(fleets)
def test_an_encoded_state_is_read_as_it_was(sightings: list[Sighting]) -> None:
    """Nothing is lost on the way, neither of what came just now nor of what a pass trimmed."""
    for state in (state_of(sightings), trimmed(state_of(sightings), NOW)):
        assert decode(encode(state)) == state


def test_days_of_a_century_are_read_as_they_were() -> None:
    """An import may bring any year that a table can store."""
    state = state_of([(day * states.DAY + 5, LICENSED, NOWHERE) for day in (0, 1, 32_767, 32_768, 49_000)])
    assert decode(encode(state)) == state


@pytest.mark.parametrize(("now", "first"), [("2026-03-31", "2025-02-28"), ("2026-12-30", "2025-11-30")])
def test_thirteen_months_end_on_the_same_day_or_the_last_one(now: str, first: str) -> None:
    """March 31 less 13 months is the last of February."""
    kept = int(datetime.fromisoformat(f"{first}T00:00Z").timestamp())
    state = state_of([(kept - states.DAY, LICENSED, NOWHERE), (kept, LICENSED, NOWHERE)])
    left = trimmed(state, datetime.fromisoformat(f"{now}T12:00Z"))
    assert list(left.seen[LICENSED, NOWHERE]) == [kept // states.DAY]


def test_what_is_merged_or_trimmed_stays_as_it_was() -> None:
    """A state that was read once may be merged again."""
    home = Place("203.0.113.9", "")
    one, other = (state_of([(at(day), LICENSED, home), (at(day + 1), LICENSED, NOWHERE)]) for day in (2, 40))
    before = encode(one), encode(other)
    merged([one, other])
    trimmed(merged([one, other]), NOW)
    assert (encode(one), encode(other)) == before
