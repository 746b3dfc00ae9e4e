"""The page of a module's versions: a share of a version is never one of itself, and cards say what filters do."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.data_source import DataSource
from tests.dashboard.conftest import fill
from tests.dashboard.counted import YESTERDAY, beacons, count_from

Visit = Callable[[str | None], FlaskClient]
RELEASED = YESTERDAY - timedelta(days=9)
NOTED = {
    "watch": "watch-said",
    "release_watch": "release_watch-note",
    "adoption_since_release": "adoption_since_release-note",
}
SAID = "Not filtered by "


@pytest.fixture(autouse=True)
def _fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    def adoption(_data: Any, args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": 0.5, "installs": 20, "of": 40}] * 9
        return {name: {"released": str(RELEASED), "released_by": "catalog", "rows": rows} for name in versions}

    count_from([*beacons(range(40), 20, "3.3.0"), *beacons(range(20), 5, "4.0.0")], monkeypatch)
    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    monkeypatch.setattr(DataSource, "question", lambda *_: {"rows": []})


def test_a_module_that_is_not_known_has_one_message(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so once, in place of its cards; so does a range without beacons."""
    monkeypatch.setattr(DataSource, "modules", lambda _: ["invoice_pro"])
    assert 'No figures for the module "nope"' in str(fill(visit("product"), "versions", "?module=nope"))
    before = "?module=invoice_pro&from=2024-01-01&to=2024-01-28"
    for search, said in ((before, "No beacons in this range"), ("?module=invoice_pro", "Versions of invoice_pro")):
        assert said in str(fill(visit("product"), "versions", search))


def test_a_week_in_which_the_largest_version_is_folded_has_no_shares(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but two installs run 4.0.0, and nothing else is told beside them: that is not "(other) 100%"."""
    back = (YESTERDAY + timedelta(days=1)).weekday() + 2  # the Friday of the last whole week
    earlier = [*beacons(range(40), back + 7, "3.3.0"), *beacons(range(40, 60), back + 7, "4.0.0")]
    count_from([*earlier, *beacons(range(40), back, "4.0.0"), *beacons(range(60, 62), back, "3.3.0")], monkeypatch)
    told = fill(visit("product"), "share_by_version", "?module=invoice_pro")
    shown = told["share_by_version-shown"]["data"]
    assert [row[1:] for row in shown["rows"]] == [[40 / 60, 20 / 60], [None, None]]
    assert shown["columns"] == ["Week", "3.3", "4.0"]
    assert told["share_by_version-summary"]["children"] == "Shares in the last whole week: not told."
    assert "An empty week is not told: all installs are in (other)" in told["share_by_version-note"]["children"]


def test_a_version_that_may_be_folded_in_a_week_is_not_told_there(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the week in which 3 installs run 3.2 it is in `(other)`. In the week without it nobody runs it."""
    back = (YESTERDAY + timedelta(days=1)).weekday() + 2  # the Friday of the last whole week
    sent = [*beacons(range(40), back + 14, "4.0.0"), *beacons(range(40, 60), back + 14, "3.2.0")]
    sent += [*beacons(range(40), back + 7, "4.0.0"), *beacons(range(40, 43), back + 7, "3.2.0")]
    sent += [*beacons(range(50, 53), back + 7, "2.0.0"), *beacons(range(40), back, "4.0.0")]
    count_from(sent, monkeypatch)
    told = fill(visit("product"), "share_by_version", "?module=invoice_pro")
    shown = told["share_by_version-shown"]["data"]
    assert shown["columns"] == ["Week", "3.2", "4.0", "(other)"]
    assert [row[1:] for row in shown["rows"]] == [
        pytest.approx(row) for row in ([20 / 60, 40 / 60, 0], [None, 40 / 46, 6 / 46], [0, 1, 0])
    ]
    assert "A version without a share in a week is in (other), or no install runs it." in str(told)
    assert "An empty week" not in str(told)


@pytest.mark.parametrize("region", NOTED)
@pytest.mark.parametrize(
    ("filters", "said", "installs"),
    [
        ("", "", "installs"),
        ("&version=3.3.0", f"{SAID}Module version 3.3.0.", "installs"),
        ("&version=3.3.0&php_series.lt=8.0", f"{SAID}Module version 3.3.0.", "installs with PHP below 8.0"),
        ("&feature=f1", f"{SAID}Feature f1.", "installs"),
    ],
)
def test_cards_of_releases_say_which_filters_they_apply(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, region: str, filters: str, said: str, installs: str
) -> None:
    """The newest release is that of the module. Who is counted meets all filters but those about versions and use."""
    asked: list[Mapping[str, str]] = []
    adoption = DataSource.adoption_of_each_version

    def noted(data: DataSource, args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        asked.append(args)
        return adoption(data, args, versions)

    monkeypatch.setattr(DataSource, "adoption_of_each_version", noted)
    filled = fill(visit("product"), region, f"?module=invoice_pro{filters}")
    told = str(filled[NOTED[region]])
    assert (SAID in told) == bool(said)
    assert said in told
    assert f"{installs} that reported on that day" in told or f"{installs} of each day" in told
    assert "4.0.0" in str(filled)
    assert [args.get("php_series.lt") for args in asked] == [None, *(["8.0"] if "PHP" in installs else [])]
    if region != "watch":
        calls = filled[f"{region}-shown"]["data"]["calls"]
        assert [("php_series.lt=8.0" in call, "version=3.3.0&version=" in call) for call in calls] == [
            ("PHP" in installs, False)
        ] * len(calls)


def test_a_release_of_which_the_filters_tell_nothing_is_still_the_newest(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too few of the installs that meet the filters run it, an earlier release is not called the newest."""

    def adoption(_data: Any, args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": 0.5, "installs": 20, "of": 40}] * 9
        known = [name for name in versions if name != "4.0.0" or "php_series" not in args]
        days = {"4.0.0": RELEASED, "3.3.0": RELEASED - timedelta(days=30)}
        nothing: dict[str, Any] = {"released": None, "released_by": None, "rows": []}
        return {
            name: {"released": str(days[name]), "released_by": "catalog", "rows": rows} if name in known else nothing
            for name in versions
        }

    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    search = "?module=invoice_pro&php_series=7.4"
    said = str(fill(visit("product"), "watch", search)["watch-said"])
    assert "4.0.0 was released on" in said
    assert "4.0.0 is on too few installs with PHP 7.4 to say anything." in said
    assert "Too few installs to show" in str(fill(visit("product"), "release_watch", search))
    shown = fill(visit("product"), "adoption_since_release", search)["adoption_since_release-shown"]["data"]
    assert shown["columns"] == ["Day", "3.3.0"]


def test_a_newest_release_on_too_few_installs_has_a_message_in_place_of_an_empty_chart(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without filters, too. So has the adoption, if no other release has a share."""

    def adoption(_data: Any, _args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": None, "installs": None, "of": 40}] * 9
        return {
            name: {"released": str(RELEASED), "released_by": "catalog", "rows": rows if name == "4.0.0" else []}
            for name in versions
        }

    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    client, search = visit("product"), "?module=invoice_pro"
    assert "4.0.0 is on too few installs to say anything." in str(fill(client, "watch", search)["watch-said"])
    for region in ("release_watch", "adoption_since_release"):
        filled = fill(client, region, search)
        assert "Too few installs to show" in str(filled[f"{region}-message"])
        assert filled[f"{region}-content"]["style"] == {"display": "none"}


@pytest.mark.parametrize(
    ("filters", "listed"),
    [
        ("", ["4.0.0", "3.3.0", "3.2.0"]),
        ("&version=3.3.0", ["3.3.0"]),
        ("&version_series.le=3.3", ["3.3.0", "3.2.0"]),
        ("&version.lt=4&os=debian", ["3.3.0", "3.2.0"]),
    ],
)
def test_shares_of_versions_are_of_all_versions(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, filters: str, listed: list[str]
) -> None:
    """With a filter by version a version has the same share as without, and not 100% of itself."""
    back = (YESTERDAY + timedelta(days=1)).weekday() + 2  # the Friday of the last whole week
    debian: dict[str, Any] = {"server": {"os": {"family": "linux", "name": "debian"}}}
    sent = [*beacons(range(50), back, "4.0.0", **debian), *beacons(range(50, 80), back, "3.3.0", **debian)]
    count_from([*sent, *beacons(range(80, 100), back, "3.2.0", **debian), *beacons(range(9), back, "1.0")], monkeypatch)
    shares = {"4.0.0": 0.5, "3.3.0": 0.3, "3.2.0": 0.2}
    client, search = visit("product"), f"?module=invoice_pro&compare=off{filters}&os=debian"
    shown = fill(client, "versions-in-use", search)
    rows = shown["versions-in-use-shown"]["data"]["rows"]
    assert [(row[0], row[2]) for row in rows] == [(version, shares[version]) for version in listed]
    assert ("only those that meet the filter" in shown["versions-in-use-note"]["children"]) == ("version" in filters)
    weekly = fill(client, "share_by_version", search)
    assert weekly["share_by_version-shown"]["data"]["columns"] == ["Week", "3.2", "3.3", "4.0"]
    assert weekly["share_by_version-shown"]["data"]["rows"][-1][1:] == [0.2, 0.3, 0.5]
    assert (SAID in weekly["share_by_version-note"]["children"]) == ("version" in filters)
    for one in (shown["versions-in-use-shown"], weekly["share_by_version-shown"]):
        assert ["version" in call.replace("by=version", "") for call in one["data"]["calls"]] == [False]
        assert "os=debian" in one["data"]["calls"][0]


def test_a_release_that_was_replaced_ends_with_its_successor(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line ends, the note says so, and beyond that age nothing is compared with it."""
    older = RELEASED - timedelta(days=4)

    def adoption(_data: Any, _args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": 0.5, "installs": 20, "of": 40}] * 9
        days = {"4.0.0": RELEASED, "3.3.0": older}
        return {name: {"released": str(days[name]), "released_by": "catalog", "rows": rows} for name in versions}

    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    client, search = visit("product"), "?module=invoice_pro"
    filled = fill(client, "adoption_since_release", search)
    assert filled["adoption_since_release-shown"]["data"]["rows"][3:5] == [[3, 0.5, 0.5], [4, 0.5, None]]
    assert "3.3.0 (released" in str(filled)
    assert "50% after 3 days" in str(filled)
    assert "A line ends on the day before a higher version came out" in str(filled)
    assert "Of the 1 release before, 0 reached that age before a higher version came out" in str(
        fill(client, "watch", search)
    )


@pytest.mark.parametrize(("installs", "grey"), [(20, True), (32, False)])
def test_a_change_of_a_version_may_be_chance(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, installs: int, grey: bool
) -> None:
    """From 16 of 40 installs to 20 of 40 it may be; to 32 of 40 it is not. The note says what grey is."""
    sent = [*beacons(range(16), 40, "4.0.0"), *beacons(range(16, 40), 40, "3.3.0")]
    sent += [*beacons(range(installs), 5, "4.0.0"), *beacons(range(installs, 40), 5, "3.3.0")]
    count_from([*beacons(range(40), 55, "3.3.0"), *sent], monkeypatch)
    filled = fill(visit("product"), "versions-in-use", "?module=invoice_pro")
    version, number, part, change = filled["versions-in-use-shown"]["data"]["rows"][0][:4]
    assert (version, number, part) == ("4.0.0", installs, installs / 40)
    assert change == pytest.approx(part - 0.4)
    assert ("'dim'" in str(filled["versions-in-use-body"])) == grey
    note = str(filled["versions-in-use-note"])
    assert "Change: from the 28 days before, both of complete days; grey: chance may explain it." in note


FEATURES = ["f1", "f2", "f3"]


@pytest.mark.parametrize(
    ("on_release", "said"),
    [
        # Of 100 installs on the release and on 3.3.0; on 3.3.0 each feature has 50 users.
        ({"f1": 50, "f2": 45, "f3": 55}, "use none of the 3 features with figures clearly more or less"),
        ({"f1": 50, "f2": 5, "f3": 55}, "lower versions in 1 of the 3 features with figures: f2 (−45 points)."),
        ({"f1": 50, "f3": 90}, "in 2 of the 3 features with figures: f2 (−50 points), f3 (+40 points)."),
        # What is folded may be f2: 8 installs used a or b.
        ({"f1": 50, "f3": 55, "a": 4, "b": -4}, "in 1 of the 3 features with figures: f2 (−42 points or lower)."),
        ({}, "no feature has figures both of its installs and of those on lower versions."),
    ],
    ids=["alike", "one fell", "one is gone", "folded", "nothing is known"],
)
def test_features_of_a_release_are_told_with_how_many_are_compared(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, on_release: dict[str, int], said: str
) -> None:
    """A feature that broke has no row on the release: it is told with the most users that it can have there."""

    def fleet(version: str, back: int, users: Mapping[str, int]) -> list[Any]:
        """100 installs: each feature is used by so many of the first of them, or below 0 of the last."""
        used = {name: set(range(100)[:most] if most > 0 else range(100)[most:]) for name, most in users.items()}
        return [
            one
            for number in range(100)
            for one in beacons([f"{version} {number}"], back, version, [name for name in used if number in used[name]])
        ]

    sent = [*fleet("3.3.0", 5, dict.fromkeys(FEATURES, 50)), *fleet("4.0.0", 5, on_release)]
    count_from([*beacons(range(40), 20, "3.3.0", FEATURES), *sent], monkeypatch)
    told = str(fill(visit("product"), "watch", "?module=invoice_pro"))
    assert said in told
    assert "In the last 10 complete days" in told
    assert "fell silent in the last whole week is not told" in told
