"""The reference counter against answers worked out by hand, on fleets small enough to count on fingers."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.fleet import reference
from tests.fleet.reference import OTHER, Dated, Grain, Metric, Row
from tests.fleet.stream import COMPLETE

SUNDAY = date(2026, 11, 22)
MONDAY = date(2026, 11, 23)


def beacon(install: object, **fields: Any) -> reference.Beacon:
    """A beacon of `install` with just the fields that a figure looks at."""
    module = {"name": fields.pop("module", "m"), "version": fields.pop("version", "1")}
    license_ = {"status": fields.pop("status", "licensed"), "source": fields.pop("source", "s")}
    if "php" in fields:
        fields["platform"] = {"php": fields.pop("php")}
    return {"install_id": str(install), "module": module, "license": license_, **fields}


def running(**installs_by_version: Iterable[int]) -> list[Dated]:
    """Installs seen on the Sunday, by the module version that they reported (`v1=[1, 2]`: installs 1 and 2)."""
    return [(SUNDAY, beacon(i, version=key)) for key, installs in installs_by_version.items() for i in installs]


def using(uses: Mapping[str, Mapping[int, int]]) -> list[Dated]:
    """Uses on the Sunday by feature and install."""
    return [(SUNDAY, beacon(i, features={name: n})) for name, counts in uses.items() for i, n in counts.items()]


def figures(
    beacons: Iterable[Dated],
    metric: Metric = "installs",
    by: str | None = None,
    grain: Grain = "period",
    k: int = 1,
    **filters: str,
) -> list[tuple[str | None, int | None]]:
    rows = reference.metric(list(beacons), metric, SUNDAY, SUNDAY, grain, by, filters, k)
    assert {row["bucket"] for row in rows} <= {"2026-11-22"}
    return [(row["key"], row["value"]) for row in rows]


def row(bucket: str, key: str | None, value: int | None) -> Row:
    return {"bucket": bucket, "key": key, "value": value}


def test_an_install_counts_once_in_a_bucket_and_under_each_value_it_reported() -> None:
    """Installs are counted and not beacons, and an upgrade puts an install under both versions."""
    beacons = running(v1=[1, 1, 2], v2=[1, 3, 4])
    assert figures(beacons) == [(None, 4)]
    assert figures(beacons, by="version") == [("v2", 3), ("v1", 2)]


def test_a_missing_value_counts_under_no_key() -> None:
    """A beacon without the field counts in the whole and in no part."""
    beacons = [(SUNDAY, beacon(1, php="8.2")), (SUNDAY, beacon(2)), (SUNDAY, beacon(3, platform={"whmcs": "9.0.1"}))]
    assert figures(beacons) == [(None, 3)]
    assert figures(beacons, by="php") == [("8.2", 1)]
    assert figures(beacons, by="os") == [(OTHER, None)]


@pytest.mark.parametrize(
    ("grain", "buckets"),
    [
        (
            "day",
            {
                "2025-12-31": 1,
                "2026-01-01": 2,
                "2026-01-02": None,
                "2026-01-03": None,
                "2026-01-04": None,
                "2026-01-05": 1,
            },
        ),
        # New Year's Day of 2026 was a Thursday: its week began in the old year.
        ("week", {"2025-12-29": 2, "2026-01-05": 1}),
        ("month", {"2025-12-01": 1, "2026-01-01": 3}),
        ("period", {"2025-12-31": 3}),
    ],
)
def test_buckets_are_named_by_their_first_day(grain: Grain, buckets: dict[str, int]) -> None:
    """Days, ISO weeks and months are named by their first day, even one before `from`; a period by `from`."""
    days = [(date(2025, 12, 30), 9), (date(2025, 12, 31), 1), (date(2026, 1, 1), 1), (date(2026, 1, 1), 2)]
    days += [(date(2026, 1, 5), 3), (date(2026, 1, 6), 8)]
    rows = reference.metric(
        [(day, beacon(install)) for day, install in days], "installs", date(2025, 12, 31), date(2026, 1, 5), grain, k=1
    )
    assert rows == [row(bucket, None, value) for bucket, value in buckets.items()]


def test_filters_hold_for_one_and_the_same_beacon() -> None:
    """An install counts when one beacon satisfies all filters and carries the key, not several together."""
    beacons = [
        (SUNDAY, beacon(1, module="a", php="8.1")),
        (SUNDAY, beacon(1, module="b", php="8.2")),
        (SUNDAY, beacon(2, module="a")),
    ]
    assert figures(beacons, by="php", module="a") == [("8.1", 1)]
    assert figures(beacons, module="a") == [(None, 2)]
    assert figures(beacons, module="a", php="8.2") == [(None, None)]
    assert figures(beacons, by="module", php="8.2") == [("b", 1)]


@pytest.mark.parametrize(
    ("by", "key"),
    {
        "module": "invoice_pro", "version": "3.2.1", "os": "debian", "os_version": "12", "arch": "x86_64",
        "virtualization": "kvm", "whmcs": "9.0.1", "php": "8.2.12", "database": "mariadb-10.11",
        "web_server": "apache-2.4", "license_status": "licensed", "license_source": "whmcs-addon-modules",
    }.items(),
)  # fmt: skip
def test_each_dimension_is_its_field(by: str, key: str) -> None:
    """Every dimension reads the field that the contract names, as key and as filter."""
    beacons = [(SUNDAY, {**COMPLETE, "install_id": "1"})]
    assert figures(beacons, by=by) == [(key, 1)]
    asked: dict[str, Any] = {by: key}
    assert figures(beacons, **asked) == [(None, 1)]
    asked[by] = "else"
    assert figures(beacons, **asked) == [(None, None)]


def test_a_feature_reported_with_0_is_there_but_not_used() -> None:
    """A count of 0 makes an install one that has the feature, and none that uses it."""
    beacons = using({"pdf": {1: 3, 2: 0}, "xml": {3: 0}})
    assert figures(beacons, by="feature") == [("pdf", 2), ("xml", 1)]
    assert figures(beacons, feature="pdf") == [(None, 2)]
    assert figures(beacons, "feature_installs", by="feature") == [("pdf", 1)]
    assert figures(beacons, "feature_uses", by="feature") == [("pdf", 3)]
    assert figures(beacons, "feature_uses", feature="xml") == [(None, None)]


def test_feature_figures_add_up_over_beacons_and_features() -> None:
    """Uses are summed, installs are not; a feature asked for is the only one counted."""
    beacons = [
        (SUNDAY, beacon(1, php="8.2", features={"pdf": 3, "xml": 1})),
        (SUNDAY, beacon(1, php="8.3", features={"pdf": 4})),
        (SUNDAY, beacon(2, php="8.3", features={"xml": 5})),
        (SUNDAY, beacon(3, features={"xml": 2})),
        (SUNDAY, beacon(4, php="8.3")),
    ]
    assert figures(beacons, "feature_uses", by="feature") == [("xml", 8), ("pdf", 7)]
    assert figures(beacons, "feature_installs", by="feature") == [("xml", 3), ("pdf", 1)]
    assert figures(beacons, "feature_uses") == [(None, 15)]
    assert figures(beacons, "feature_installs") == [(None, 3)]
    assert figures(beacons, "feature_uses", by="php") == [("8.3", 9), ("8.2", 4)]
    assert figures(beacons, "feature_installs", by="php") == [("8.3", 2), ("8.2", 1)]
    assert figures(beacons, "feature_uses", by="php", feature="xml") == [("8.3", 5), ("8.2", 1)]
    assert figures(beacons, "feature_uses", by="feature", feature="xml") == [("xml", 8)]


def test_nothing_is_folded_where_every_group_is_large_enough() -> None:
    """Groups of exactly k installs are shown, and then there is no (other)."""
    assert figures(running(v1=[1, 2, 3], v2=[3, 4, 5]), by="version", k=3) == [("v1", 3), ("v2", 3)]


@pytest.mark.parametrize(
    ("versions", "k", "shown"),
    [
        # Two small groups make one that is large enough.
        ({"v1": [1, 2, 3, 4, 5], "v2": [6, 7], "v3": [8]}, 3, [("v1", 5), ("(other)", 3)]),
        # One small group alone: the next smallest goes with it. 4 and 4: the key decides the order.
        ({"v1": [1, 2, 3, 4], "v2": [5, 6, 7], "v3": [8]}, 3, [("(other)", 4), ("v1", 4)]),
        # Both groups are the same two installs: their union is 2, not 4, and all has to go.
        ({"v1": [3, 4, 5], "v2": [1, 2], "v3": [1, 2]}, 3, [("(other)", 5)]),
        # Overlap with what is shown does no harm: install 1 counts in both.
        ({"v1": [1, 2, 3, 4], "v2": [1, 5], "v3": [6]}, 3, [("v1", 4), ("(other)", 3)]),
        # The next smallest twice over: 1 and 2 are one union of 2, only v2 makes it 4.
        ({"v1": [1, 2, 3, 4, 5], "v2": [2, 6, 7], "v3": [1, 2], "v4": [1]}, 3, [("v1", 5), ("(other)", 4)]),
        # Two groups of the same size: the first by name is folded.
        ({"b": [2, 3], "a": [4, 5], "x": [1]}, 2, [("(other)", 3), ("b", 2)]),
        # Everything is folded and is enough together.
        ({"v1": [1], "v2": [2], "v3": [3]}, 3, [("(other)", 3)]),
        # Everything is folded and is not enough: not even its number is told.
        ({"v1": [1], "v2": [2], "v3": [1]}, 3, [("(other)", None)]),
        ({"v1": [1, 2]}, 3, [("(other)", None)]),
    ],
)
def test_small_groups_are_folded(versions: dict[str, list[int]], k: int, shown: list[tuple[str, int | None]]) -> None:
    """Groups under k go into (other), with the next smallest for as long as (other) is under k itself."""
    assert figures(running(**versions), by="version", k=k) == shown


def test_a_whole_under_k_has_no_value() -> None:
    """Without `by`, a bucket of fewer than k installs is there, and says nothing."""
    assert figures(running(v1=[1, 2]), k=3) == [(None, None)]
    assert figures(running(v1=[1, 2, 3]), k=3) == [(None, 3)]
    assert figures([], k=3) == [(None, None)]


def test_features_are_folded_by_their_users() -> None:
    """What is folded is decided by the installs that use a feature, not by uses nor by those that report a 0."""
    beacons = using(
        {
            "pdf": {1: 1, 2: 1, 3: 1},
            "xml": {4: 1000, 5: 0, 6: 0},
            "csv": {4: 10, 7: 20, 8: 0},
            "fax": {9: 5},
            "odt": {1: 0, 2: 0, 3: 0},
        }
    )
    assert figures(beacons, "feature_uses", by="feature", k=3) == [("(other)", 1035), ("pdf", 3)]
    # Installs 4, 7 and 9; install 4 uses two of them.
    assert figures(beacons, "feature_installs", by="feature", k=3) == [("(other)", 3), ("pdf", 3)]
    assert figures(beacons, "feature_uses", by="feature", k=7) == [("(other)", None)]
    assert figures(beacons, "feature_uses", k=7) == [(None, None)]
    assert figures(beacons, "feature_uses", feature="fax", k=2) == [(None, None)]


def test_each_bucket_is_folded_by_itself() -> None:
    """A version that is small on one day is shown on another where it is not; rows come by bucket, then by value."""
    beacons = running(v1=[1, 2], v2=[3, 4], v3=[5]) + [(MONDAY, beacon(i, version="v3")) for i in (5, 6, 7)]
    beacons += [(MONDAY, beacon(i, version="v1")) for i in (1, 2)]
    assert reference.metric(beacons, "installs", SUNDAY, MONDAY, "day", "version", k=2) == [
        row("2026-11-22", "(other)", 3),
        row("2026-11-22", "v2", 2),
        row("2026-11-23", "v3", 3),
        row("2026-11-23", "v1", 2),
    ]


def test_a_day_that_is_not_over_counts_in_steps() -> None:
    """Of those that came first today only every k-th is told, beside all who came on the days before."""

    def told(today: Iterable[int], grain: Grain) -> list[int | None]:
        beacons = [*running(v1=range(4)), *((MONDAY, beacon(install)) for install in today)]
        return [
            row["value"] for row in reference.metric(beacons, "installs", SUNDAY, MONDAY, grain, k=3, open_from=MONDAY)
        ]

    assert told(range(10, 12), "day") == [4, None]
    assert told(range(10, 15), "day") == [4, 3]
    assert told(range(3, 6), "period") == [4]
    assert told(range(3, 7), "period") == [7]
    assert told([], "period") == [4]


def test_uses_of_a_day_that_is_not_over_are_not_told() -> None:
    """A sum tells of each install that adds to it."""
    beacons = [*using({"pdf": {1: 3, 2: 4}}), *((MONDAY, beacon(i, features={"pdf": 9})) for i in range(9))]
    rows = reference.metric(beacons, "feature_uses", SUNDAY, MONDAY, "day", k=2, open_from=MONDAY)
    assert rows == [row("2026-11-22", None, 7), row("2026-11-23", None, None)]


def of_series(beacons: list[Dated], *, by: str = "php_series", **filters: str) -> list[Any]:
    rows = reference.metric(beacons, "installs", SUNDAY, MONDAY, "period", by, filters, k=1, count="latest")
    return [(row.get("key", row.get("keys")), row["value"]) for row in rows]


def test_the_latest_report_counts_and_the_higher_version_of_a_day() -> None:
    """An upgrade within a day, a downgrade overnight, and one that stays."""
    beacons = [
        (SUNDAY, beacon(1, php="8.9.1")), (SUNDAY, beacon(1, php="8.10.1")),
        (SUNDAY, beacon(2, php="8.10.1")), (MONDAY, beacon(2, php="8.9.2-1ubuntu4.3")),
        (SUNDAY, beacon(3, php="8.9.1")),
    ]  # fmt: skip
    assert of_series(beacons) == [("8.9", 2), ("8.10", 1)]
    assert of_series(beacons, **{"php.lt": "8.10"}) == [("8.9", 2)]
    assert of_series(beacons, by="php_series,version") == [(["8.9", "1"], 2), (["8.10", "1"], 1)]


def test_a_condition_that_splits_what_is_folded_is_not_told() -> None:
    """Two conditions never differ by fewer installs than a row has."""

    def told(**filters: str) -> int | None:
        beacons = [
            (SUNDAY, beacon(f"{php} {i}", php=php)) for php, n in (("8.1", 2), ("8.2", 2), ("8.3", 9)) for i in range(n)
        ]
        return reference.metric(beacons, "installs", SUNDAY, SUNDAY, "period", None, filters, k=3)[0]["value"]  # type: ignore[no-any-return]

    assert told(**{"php.lt": "8.2"}) is None
    assert told(**{"php.lt": "8.3"}) == 4
    assert told(**{"php.in": "8.2,8.3"}) is None
    assert told(**{"php.ge": "8.3"}) == 9
    assert told(**{"php.ge": "7"}) == 13


def test_a_condition_is_told_whatever_other_filters_leave_of_what_is_folded() -> None:
    """A null would tell which system the install of a rare value runs."""
    common = [(os, "8.3") for os in ("debian", "ubuntu") for _ in range(9)] + [("ubuntu", "8.2")] * 3

    def told(*rare: tuple[str, str], **filters: str) -> int | None:
        sent = [*common, *rare]
        beacons = [
            (SUNDAY, beacon(number, php=php, server={"os": {"name": os}})) for number, (os, php) in enumerate(sent)
        ]
        return reference.metric(beacons, "installs", SUNDAY, SUNDAY, "period", None, filters, k=3)[0]["value"]  # type: ignore[no-any-return]

    guess = {"php.in": "8.1,8.3", "os": "debian"}
    assert told(**guess) == 9
    assert told(("ubuntu", "8.1"), **guess) is None
    assert told(("debian", "8.1"), **guess) is None


def test_a_beacon_belongs_to_its_utc_day() -> None:
    """One o'clock at night east of Greenwich is still the day before."""
    stated = [{"sent_at": f"2026-11-22T{time}"} for time in ("01:00:00+02:00", "23:00:00-05:00", "00:00:00Z")]
    assert [day for day, _ in reference.dated(stated)] == [date(2026, 11, 21), MONDAY, SUNDAY]


def test_licensing_tells_the_latest_of_each_install_and_module() -> None:
    """The latest by time counts, in whatever order and zone beacons came."""
    beacons = [
        beacon(2, sent_at="2026-11-20T09:00:00Z"),
        beacon(1, sent_at="2026-11-22T11:30:00+02:00", version="2", status="trial", source="late"),
        beacon(1, sent_at="2026-11-22T09:00:00Z", version="1", status="expired", source="early"),
        beacon(1, sent_at="2026-11-21T09:00:00Z", module="n", status="invalid"),
    ]

    def at(day: int, hour: int, minute: int = 0) -> datetime:
        return datetime(2026, 11, day, hour, minute, tzinfo=UTC)

    rows = [tuple(found.values()) for found in reference.licensing(beacons)]
    assert rows == [
        ("1", "m", "2", "trial", "late", at(22, 9), at(22, 9, 30)),
        ("1", "n", "1", "invalid", "s", at(21, 9), at(21, 9)),
        ("2", "m", "1", "licensed", "s", at(20, 9), at(20, 9)),
    ]
    # The clock of the second beacon was wrong: it was received before the third.
    received = [at(20, 9), at(22, 8), at(22, 9), at(21, 9)]
    assert reference.licensing(beacons, received)[0] == {
        "install_id": "1",
        "module": "m",
        "version": "1",
        "status": "expired",
        "source": "early",
        "first_seen": at(22, 8),
        "last_seen": at(22, 9),
    }
