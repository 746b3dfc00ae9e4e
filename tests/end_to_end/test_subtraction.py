"""Subtraction attacks on the read API: what two responses reveal about fewer than k installs."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from pharos.synthetic_fleet import beacons
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, System, running
from tests.fleet import reference
from tests.fleet.reference import Grain, Metric

K = 5
INSTALLS, DAYS = 80, 14
PAIRS = 90  # of so many with exact figures about ten tell something
GRAINS: tuple[Grain, ...] = ("day", "week", "period")
DIMENSIONS = [name for name in reference.PATHS if name != "license_source"]
Told = dict[tuple[str, str | None], int | None]  # by bucket and key


@dataclass(frozen=True)
class Question:
    """A question to the read API."""

    start: date
    end: date
    grain: Grain = "period"
    by: str | None = None
    filters: tuple[tuple[str, str], ...] = ()
    metric: Metric = "installs"


@dataclass
class Fleet:
    """A system with a small fleet that has many small groups."""

    system: System
    beacons: reference.Sent
    start: date
    end: date

    def told(self, asked: Question) -> Told:
        """Return the response of the read API."""
        span = {"from": str(asked.start), "to": str(asked.end), "grain": asked.grain}
        rows = self.system.rows(asked.metric, **span, by=asked.by or "none", **dict(asked.filters))
        return {(row["bucket"], row["key"]): row["value"] for row in rows}

    def true(self, asked: Question) -> Told:
        """Return the real groups, which nobody may see."""
        span = asked.start, asked.end, asked.grain
        rows = reference.metric(self.beacons, asked.metric, *span, asked.by, dict(asked.filters), k=1)
        return {(row["bucket"], row["key"]): row["value"] for row in rows}

    def values(self, dimension: str) -> list[str]:
        """Return all values of a dimension that an install reported."""
        return sorted({key or "" for _, key in self.true(Question(self.start, self.end, by=dimension))})

    def days_of_one_value(self, dimension: str) -> set[str]:
        """Return the days on which each install reported exactly one value of a dimension."""
        values: dict[str, dict[str, set[str]]] = {}
        for day, sent in self.beacons:
            carried = reference.carried(sent, dimension, "installs")
            values.setdefault(str(day), {}).setdefault(sent["install_id"], set()).update(carried)
        return {day for day, installs in values.items() if {len(carried) for carried in installs.values()} == {1}}

    def question(self, rng: random.Random) -> Question:
        """Return a random question without a filter."""
        start, end = sorted(self.start + timedelta(days=rng.randrange(DAYS)) for _ in range(2))
        return Question(start, end, rng.choice(GRAINS))

    def narrowed(self, asked: Question, rng: random.Random) -> Question:
        """Add a filter."""
        dimension = rng.choice([name for name in DIMENSIONS if name not in dict(asked.filters)])
        return replace(asked, filters=(*asked.filters, (dimension, rng.choice(self.values(dimension)))))


@pytest.fixture(scope="module", params=ENGINES)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """About 80 installs over two weeks. All beacons have all fields, because missing fields count in no row."""
    end = datetime.now(UTC).date() - timedelta(days=1)
    every = beacons(20261201, INSTALLS, DAYS, end)
    sent = [one for one in every if all(reference.carried(one, name, "installs") for name in DIMENSIONS)]
    with running(tmp_path_factory.mktemp("subtraction") / "home", request.param, PHAROS_K=str(K)) as system:
        system.load(sent)
        yield Fleet(system, reference.dated(sent), end - timedelta(days=DAYS - 1), end)


def test_a_filter_tells_no_more_than_a_grouping(fleet: Fleet) -> None:
    """A filter returns the value of its row in a grouping, of a module or of all, and nothing if the row is folded."""
    rng = random.Random(1)
    withheld = told = 0
    modules = [name for name in fleet.values("module") if name]
    for number in range(PAIRS):
        asked = fleet.question(rng)
        if number % 2:
            asked = replace(asked, filters=(("module", rng.choice(modules)),))
        narrow = fleet.narrowed(asked, rng)
        dimension, value = narrow.filters[-1]
        rows = fleet.told(replace(asked, by=dimension))
        true = fleet.true(narrow)
        for (bucket, _), figure in fleet.told(narrow).items():
            assert figure == rows.get((bucket, value)), narrow
            withheld += figure is None and (true[bucket, None] or 0) >= K
            told += figure is not None
    assert withheld > 4
    assert told > 10


def test_what_is_folded_cannot_be_had_by_subtraction(fleet: Fleet) -> None:
    """On a day with one value per install, the total less a value is zero, or k or more."""
    rng = random.Random(2)
    compared = 0
    asked = Question(fleet.start, fleet.end, "day")
    everybody = fleet.told(asked)
    for dimension in DIMENSIONS:
        clear = fleet.days_of_one_value(dimension)
        values = fleet.values(dimension)
        for value in rng.sample(values, min(len(values), 5)):
            for (day, _), figure in fleet.told(replace(asked, filters=((dimension, value),))).items():
                whole = everybody[day, None]
                if day not in clear or figure is None or whole is None:
                    continue
                compared += 1
                assert whole - figure not in range(1, K), (dimension, value, day)
    assert compared > 50


def nested(fleet: Fleet, rng: random.Random) -> tuple[Question, Question]:
    """Return a question and a wider one that includes all its installs."""
    wide = replace(fleet.question(rng), grain="period", metric=rng.choice(("installs", "feature_installs")))
    for _ in range(rng.randrange(2)):
        wide = fleet.narrowed(wide, rng)
    narrow = fleet.narrowed(wide, rng) if rng.random() < 0.6 else wide
    if narrow == wide or rng.random() < 0.5:
        narrow = replace(narrow, end=wide.start + (wide.end - wide.start) * rng.random())
    return wide, narrow


def learnt(fleet: Fleet, seed: int) -> int:
    """Count the differences from 1 to k - 1 in random pairs of responses."""
    rng = random.Random(seed)
    found = 0
    for _ in range(PAIRS):
        wide, narrow = nested(fleet, rng)
        most, least = fleet.told(wide), fleet.told(narrow)
        pairs = zip(most.values(), least.values(), strict=False)
        found += sum(a is not None and b is not None and 0 < a - b < K for a, b in pairs)
    return found


def test_exact_figures_of_two_spans_do_tell(fleet: Fleet) -> None:
    """With exact figures the attack succeeds, as documented."""
    assert learnt(fleet, 3) > 0


@pytest.fixture(scope="module")
def rounded(fleet: Fleet) -> Fleet:
    """The same system with rounded figures."""
    fleet.system.stop()
    fleet.system.environ["PHAROS_FIGURES"] = "rounded"
    fleet.system.start()
    return fleet


def test_rounded_figures_tell_no_small_difference(rounded: Fleet) -> None:
    """With rounded figures no random pair of responses reveals a count under k."""
    assert learnt(rounded, 3) == 0
    rng = random.Random(4)
    for _ in range(PAIRS // 3):
        asked = replace(rounded.question(rng), by=rng.choice([None, *DIMENSIONS]))
        true = rounded.true(asked)
        for group, figure in rounded.told(asked).items():
            if figure is not None:
                assert figure % K == 0
                assert group[1] == reference.OTHER or figure == (true[group] or 0) // K * K
    uses = rounded.told(Question(rounded.start, rounded.end, by="feature", metric="feature_uses")).values()
    assert any(uses)
    assert all(number is None or not str(number)[2:].strip("0") for number in uses)
    assert rounded.system.read("/api/v1/metrics/installs")[1]["exact"] is False


def test_rounded_figures_tell_nobody_who_comes(rounded: Fleet) -> None:
    """With rounded figures no single install is visible before and after its beacon."""
    today = datetime.now(UTC).date()
    seen = []
    for _ in range(K + 2):
        assert rounded.system.post(beacon())[0] == 202
        rounded.system.drain()
        seen.append(rounded.told(Question(today, today, "day"))[str(today), None])
    assert seen == [None] * (K - 1) + [K] * 3
