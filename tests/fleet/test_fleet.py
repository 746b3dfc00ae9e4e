"""The synthetic fleet: valid by the letter of the contract, the same every time, and like a real fleet."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest

from pharos.synthetic_fleet import beacons
from tests.fleet.wire import FIELDS, Beacon, flat, misfit

END = date(2026, 11, 22)


def day(beacon: Beacon) -> date:
    return datetime.fromisoformat(beacon["sent_at"]).astimezone(UTC).date()


@pytest.fixture(scope="module")
def fleet() -> list[Beacon]:
    return list(beacons(7, installs=700, days=60, end=END))


def test_every_beacon_fits_the_contract(fleet: list[Beacon]) -> None:
    """No beacon of the fleet breaks a rule of the contract."""
    assert {misfit(beacon) for beacon in fleet} == {None}
    assert {path for beacon in fleet for path in flat({**beacon, "features": 0})} == {*FIELDS, "schema", "features"}


def test_the_same_seed_gives_the_same_bytes() -> None:
    """The seed alone decides every byte: neither the process nor its hash order does."""
    code = (
        "import datetime, hashlib; from tests.fleet.stream import stream;"
        "print(hashlib.sha256(b'\\n'.join(stream(3, 400, 30, 9, end=datetime.date(2026, 11, 22)).lines)).hexdigest())"
    )
    root = Path(__file__).parents[2]
    digests = {
        subprocess.check_output([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONHASHSEED": hash_seed})
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1
    assert [*beacons(3, 30, 9, END)] == [*beacons(3, 30, 9, END)]


def test_another_seed_gives_another_fleet() -> None:
    """Two seeds share no install, not even a seed and its negative, which Python's generator takes for the same."""
    fleets = [{beacon["install_id"] for beacon in beacons(seed, 30, 9, END)} for seed in (3, 4, -3)]
    assert not fleets[0] & fleets[1]
    assert not fleets[0] & fleets[2]


def test_beacons_come_in_time_order_and_within_the_days(fleet: list[Beacon]) -> None:
    """A beacon never comes before an earlier one, and none lies outside the days asked for."""
    times = [datetime.fromisoformat(beacon["sent_at"]) for beacon in fleet]
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert (day(fleet[0]), day(fleet[-1])) == (date(2026, 9, 24), END)


def test_no_install_sends_two_beacons_in_one_second(fleet: list[Beacon]) -> None:
    """Which beacon is the latest of an install is never a matter of opinion."""
    moments = Counter((beacon["install_id"], datetime.fromisoformat(beacon["sent_at"])) for beacon in fleet)
    assert set(moments.values()) == {1}
    assert len({beacon["beacon_id"] for beacon in fleet}) == len(fleet)


@pytest.mark.parametrize("rate", [0.3, 1.0, 4.0])
def test_an_install_sends_as_often_as_asked(rate: float) -> None:
    """`per_install_day` is the mean number of beacons of a living install, whatever it is."""
    lives: dict[str, list[int]] = defaultdict(list)
    for beacon in beacons(5, 150, 90, END, rate):
        lives[beacon["install_id"]].append(day(beacon).toordinal())
    days_alive = sum(days[-1] - days[0] + 1 for days in lives.values())
    assert sum(len(days) for days in lives.values()) / days_alive == pytest.approx(rate, rel=0.2)


def test_the_fleet_is_skewed_as_real_ones_are(fleet: list[Beacon]) -> None:
    """Shares, lapses, gaps and rhythm are those that dashboards and flags have to cope with."""
    installs = {beacon["install_id"] for beacon in fleet}
    assert 690 < len(installs) <= 700  # one that is gone before its first beacon is never heard of

    def share(part: list[bool]) -> float:
        return sum(part) / len(part)

    assert 0.88 < share([beacon["license"]["status"] == "licensed" for beacon in fleet]) < 0.96
    assert 0.02 < share([beacon.get("consent", {}).get("level") == "license" for beacon in fleet]) < 0.07
    for section in ("server", "platform", "features"):
        assert 0.01 < share([section not in beacon for beacon in fleet]) < 0.15
    assert len({beacon["license"]["status"] for beacon in fleet}) == 6
    assert {beacon.get("reason") for beacon in fleet} == {None, "heartbeat", "activate", "upgrade", "deactivate"}

    per_day = Counter(day(beacon) for beacon in fleet)
    weekend = mean(n for at, n in per_day.items() if at.weekday() >= 5)
    assert weekend < 0.8 * mean(n for at, n in per_day.items() if at.weekday() < 5)


def test_installs_change_within_a_period(fleet: list[Beacon]) -> None:
    """Some installs report several versions, PHP versions and statuses; some join late, some leave."""
    reported: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    days: dict[str, set[date]] = defaultdict(set)
    for beacon in fleet:
        install, module = beacon["install_id"], beacon["module"]["name"]
        days[install].add(day(beacon))
        reported["version"][install, module].add(beacon["module"]["version"])
        reported["status"][install, module].add(beacon["license"]["status"])
        if "platform" in beacon:
            reported["php"][install, ""].add(beacon["platform"]["php"])
    for what, least in (("version", 100), ("status", 50), ("php", 100)):
        assert sum(len(values) > 1 for values in reported[what].values()) > least, what
    assert {len([1 for key in reported["version"] if key[0] == install]) for install in days} == {1, 2, 3}
    assert sum(min(seen) > date(2026, 10, 1) for seen in days.values()) > 100
    assert sum(max(seen) < date(2026, 11, 15) for seen in days.values()) > 30


def test_features_are_used_unevenly(fleet: list[Beacon]) -> None:
    """Counts of 0 are reported, and one feature is used by hardly anybody although all of a module report it."""
    users: dict[str, set[str]] = defaultdict(set)
    zeros = 0
    for beacon in fleet:
        for name, count in beacon.get("features", {}).items():
            zeros += count == 0
            if count:
                users[name].add(beacon["install_id"])
    assert zeros > 1_000
    assert 0 < len(users["invoice.tiff_export"]) < 8
    assert len(users["invoice.pdf_export"]) > 200


def test_some_unlicensed_installs_show_the_key_of_another(fleet: list[Beacon]) -> None:
    """There is something to find for the licensing team: a key that is licensed here and not there."""
    holders: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for beacon in fleet:
        if "key_hash" in beacon["license"]:
            holders[beacon["license"]["key_hash"]][beacon["license"]["status"]].add(beacon["install_id"])
    shared = [by for by in holders.values() if (by["unlicensed"] | by["invalid"]) - by["licensed"] and by["licensed"]]
    assert len(shared) >= 5
