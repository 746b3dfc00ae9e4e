"""What changed: differences of shares beyond chance, projections, and a release beside earlier ones."""

import random
from dataclasses import replace
from datetime import date, timedelta
from math import exp, log, sqrt

import pytest

from dashboard.changes import Change, Users, changed_above_all, compared, movers, sentence
from dashboard.pages.drop.features import is_clear
from dashboard.pages.feature.together import is_clear as together_is_clear
from dashboard.projection import project
from dashboard.releases import Release, band, until_replaced, verdict
from dashboard.significance import Z95, distance, interval, least_together, may_be_chance, together

MONDAY = date(2026, 11, 23)
DAY = timedelta(days=1)


def change(before: tuple[int, int], now: tuple[int, int], kind: str = "Feature", where: str = "") -> Change:
    return Change(kind, "bulk_email", "bulk_mailer's installs", before, now, where=where)


def test_a_change_is_told_in_a_sentence() -> None:
    """The sentence has both shares, whose they are, and the version on which it happened above all."""
    told = sentence(change((82, 200), (66, 200), where="4.0.0"))
    assert told == "bulk_email fell from 41% to 33% of bulk_mailer's installs, above all on 4.0.0"
    assert sentence(change((1, 10), (5, 10), "PHP")) == "bulk_email rose from 10% to 50% of bulk_mailer's installs"


def test_only_changes_beyond_chance_are_movers() -> None:
    """A few installs more are chance. The clearest change comes first."""
    small, clear, clearer = change((50, 100), (53, 100)), change((50, 100), (70, 100)), change((500, 1000), (300, 1000))
    assert movers([], 5) == []
    assert movers([small], 5) == []
    assert movers([small, clear, clearer], 5) == [clearer, clear]
    assert movers([small, clear, clearer], 1) == [clearer]


def test_a_change_that_rounding_makes_is_no_mover() -> None:
    """15 of 20 may be 15 of 24, and 5 of 20 may be 9 of 20, in multiples of 5. What no rounding makes stays a mover."""
    rounded = change((5, 20), (15, 20))
    assert movers([rounded], 5) == [rounded]
    assert movers([replace(rounded, rounding=4)], 5) == []
    assert not may_be_chance(15, 20, 5, 20)
    assert may_be_chance(15, 20, 5, 20, 4)
    assert may_be_chance(5, 20, 15, 20, 4)
    clear = replace(change((50, 100), (80, 100)), rounding=4)
    assert movers([clear], 5) == [clear]


def test_among_many_changes_chance_makes_larger_ones() -> None:
    """What is clear alone may be the luckiest of many. Chance alone tells of a mover in about 5% of periods."""
    clear, small = change((50, 100), (64, 100)), change((50, 100), (51, 100))
    assert movers([clear], 5) == [clear]
    assert movers([clear, *[small] * 200], 5) == []
    rng = random.Random(7)

    def users() -> tuple[int, int]:
        return sum(rng.random() < 0.4 for _ in range(200)), 200

    told = sum(bool(movers([change(users(), users()) for _ in range(40)], 5)) for _ in range(200))
    assert 1 <= told <= 20


def found(before: dict[str, int], now: dict[str, int], folded: int | None) -> list[tuple[str, int, bool]]:
    """The keys that are compared, with their installs before and whether these are only the most that they can be."""
    changes = compared("PHP", "the installs", before, now, (100, 100), folded)
    return [(one.name, one.before[0], one.at_most) for one in changes]


@pytest.mark.parametrize(
    ("before", "now", "folded", "expected"),
    [
        ({}, {}, 0, []),
        ({"8.1": 40}, {}, 0, []),
        ({"8.1": 40}, {"8.1": 30}, None, [("8.1", 40, False)]),
        # What is new.
        ({}, {"8.4": 9}, 0, [("8.4", 0, False)]),
        ({"8.1": 40}, {"8.1": 30, "8.4": 9, "8.5": 6}, 0, [("8.1", 40, False), ("8.4", 0, False), ("8.5", 0, False)]),
        # It may have been folded, and then rose only if it is more than all that was.
        ({"8.1": 40}, {"8.4": 9}, 8, [("8.4", 8, True)]),
        ({"8.1": 40}, {"8.1": 30, "8.4": 9, "8.5": 6}, 8, [("8.1", 40, False), ("8.4", 8, True)]),
        ({"8.1": 40}, {"8.4": 9}, 500, []),
        # Nothing is known of it.
        ({"8.1": 40}, {"8.1": 30, "8.4": 9}, None, [("8.1", 40, False)]),
        # `(other)` is no group.
        ({"8.1": 40, "(other)": 9}, {"8.1": 30, "(other)": 8}, 9, [("8.1", 40, False)]),
    ],
)
def test_what_had_no_figure_before_had_none_or_at_most_what_was_folded(
    before: dict[str, int], now: dict[str, int], folded: int | None, expected: list[tuple[str, int, bool]]
) -> None:
    """What is new takes part with 0 installs before, or with the most that it can have had."""
    assert found(before, now, folded) == expected


def test_without_installs_there_is_no_change() -> None:
    """A period of which nothing is told is not compared."""
    assert compared("PHP", "the installs", {}, {"8.1": 30}, (None, 100), 0) == []
    assert compared("PHP", "the installs", {"8.1": 40}, {"8.1": 30}, (100, 0), 0) == []


def test_what_is_new_is_told_in_a_sentence() -> None:
    """It rose from nothing, or from too few to show: then no figure is claimed of the period before."""
    new, few = compared("Version", "x's installs", {}, {"4.0.0": 62}, (100, 100), 0), change((8, 100), (62, 100))
    assert sentence(new[0]) == "4.0.0 rose from 0% to 62% of x's installs"
    told = sentence(replace(few, at_most=True))
    assert told == "bulk_email rose to 62% of bulk_mailer's installs, from too few to show"


Parts = dict[str, tuple[int, int]]  # users and installs by version


def users(parts: Parts, folded: Parts, at_most: int) -> Users:
    """The users of a feature by version; those of the `folded` versions are too few to be told."""
    installs = {version: of for version, (_, of) in (parts | folded).items()}
    return Users({version: number for version, (number, _) in parts.items()}, installs, at_most)


@pytest.mark.parametrize(
    ("before", "now", "points", "expected"),
    [
        ({}, {}, -0.1, ""),
        # It fell by as much on both.
        ({"3.3.1": (30, 118), "3.3.0": (69, 241)}, {"3.3.1": (32, 211), "3.3.0": (31, 155)}, -0.11, ""),
        # It fell on one of them.
        ({"4.0.0": (60, 118), "3.3.0": (69, 241)}, {"4.0.0": (20, 211), "3.3.0": (44, 155)}, -0.11, "4.0.0"),
        # It rose on the others: they are clearly apart, but not in the direction of the change.
        ({"4.0.0": (40, 200), "3.3.0": (40, 200)}, {"4.0.0": (40, 200), "3.3.0": (80, 200)}, -0.1, ""),
        # The share of each stayed: there are more installs on the version whose share is low.
        ({"4.0.0": (10, 100), "3.3.0": (90, 300)}, {"4.0.0": (30, 300), "3.3.0": (30, 100)}, -0.1, ""),
        # Without installs before, the share now is compared.
        ({"3.3.0": (80, 200)}, {"4.0.0": (5, 100), "3.3.0": (40, 100)}, -0.2, "4.0.0"),
        ({"3.3.0": (80, 200)}, {"4.0.0": (38, 100), "3.3.0": (40, 100)}, -0.1, ""),
        ({"3.3.0": (80, 200)}, {"4.0.0": (90, 100), "3.3.0": (40, 100)}, 0.2, "4.0.0"),
        ({"3.3.0": (80, 200)}, {"4.0.0": (90, 100)}, 0.2, ""),
        # Few installs are chance.
        ({"4.0.0": (5, 8), "3.3.0": (69, 241)}, {"4.0.0": (2, 9), "3.3.0": (44, 155)}, -0.01, ""),
    ],
)
def test_a_change_is_above_all_on_the_version_that_changed_unlike_the_others(
    before: Parts, now: Parts, points: float, expected: str
) -> None:
    """A version is named if its own share changed beyond chance as the whole did, and clearly more than the others'."""
    assert changed_above_all(users(before, {}, 0), users(now, {}, 0), points, {}) == expected


def test_a_new_version_is_compared_over_the_days_since_it_came_out() -> None:
    """In three days few use what they use once a month, on any version: that is no fall on the new one."""
    before, now = users({"3.3.0": (80, 200)}, {}, 0), users({"3.3.0": (50, 200), "4.0.0": (3, 100)}, {}, 0)
    assert changed_above_all(before, now, -0.1, {}) == "4.0.0"
    assert changed_above_all(before, now, -0.1, {"4.0.0": users({"3.3.0": (8, 200), "4.0.0": (3, 100)}, {}, 0)}) == ""
    assert changed_above_all(before, now, -0.1, {"4.0.0": users({"3.3.0": (8, 200)}, {}, 0)}) == ""
    broken = users({"3.3.0": (40, 200), "4.0.0": (3, 100)}, {}, 0)
    assert changed_above_all(before, now, -0.1, {"4.0.0": broken}) == "4.0.0"


def test_chance_alone_names_a_version_seldom() -> None:
    """Four versions on which a feature fell alike: in about 5% of periods one of them is named."""
    rng = random.Random(7)

    def drawn(part: float, of: int) -> Users:
        sizes = {f"3.{number}": of for number in range(4)}
        return Users({version: sum(rng.random() < part for _ in range(of)) for version in sizes}, sizes)

    named = [changed_above_all(drawn(0.3, 60), drawn(0.2, 80), -0.1, {}) for _ in range(400)]
    assert 1 <= sum(map(bool, named)) <= 20


def test_a_version_with_too_few_users_is_compared_by_the_most_that_they_can_be() -> None:
    """Where none used it on a release any more, the release is named though its figure is folded; a rise is not."""
    before = users({"4.0.0": (40, 100), "3.3.0": (80, 200)}, {}, 0)
    broken = users({"3.3.0": (80, 200)}, {"4.0.0": (0, 100)}, 6)
    assert changed_above_all(before, broken, -0.1, {}) == "4.0.0"
    assert changed_above_all(before, replace(broken, at_most=38), -0.1, {}) == ""
    assert changed_above_all(broken, before, 0.1, {}) == "4.0.0"
    assert changed_above_all(replace(broken, at_most=38), before, 0.1, {}) == ""
    risen = users({"3.3.0": (20, 200)}, {"4.0.0": (0, 100)}, 90)
    assert changed_above_all(users({"3.3.0": (20, 200), "4.0.0": (10, 100)}, {}, 0), risen, 0.1, {}) == ""


def test_an_interval_contains_its_share_and_narrows() -> None:
    """Wilson's interval: 3 of 10 is 11% to 60%, as in the literature; of nobody and of all it stays within 0 to 1."""
    assert list(interval(3, 10)) == pytest.approx([0.108, 0.603], abs=0.001)
    assert interval(0, 10)[0] == 0
    assert interval(10, 10)[1] == pytest.approx(1)
    assert distance(5, 0, 5, 10) == distance(0, 10, 0, 10) == 0


@pytest.mark.parametrize(("both", "clear"), [(32, False), (36, False), (38, True), (44, True), (20, True), (24, False)])
def test_features_go_together_beyond_chance(both: int, clear: bool) -> None:
    """Of 300 installs 90 use the one and 100 the other: chance makes 30 of both, give or take twice 3.75."""
    found = together(both, 30.0, 90, 300)
    assert found == pytest.approx((both - 30) / sqrt(90 * (1 / 3) * (2 / 3) * 210 / 299))
    assert (abs(found) > Z95) == clear
    assert together(5, 5.0, 5, 5) == together(0, 0.0, 0, 0) == 0


@pytest.mark.parametrize(
    ("both", "rounding", "clear"),
    [(50, 4, False), (50, 0, True), (70, 4, True), (15, 4, True), (20, 4, False), (20, 0, True), (30, 4, False)],
)
def test_features_go_together_beyond_rounding(both: int, rounding: int, clear: bool) -> None:
    """In multiples of 5, 40 of both by chance may be more of both, of either or of all."""
    row = {"installs": both, "expected": 40.0 if both > 40 else 30.0}
    assert together_is_clear(row, 100, 300, rounding) == clear
    assert least_together(5, 0.0, 0, 5, 4) == least_together(0, 0.0, 5, 0, 4) == 0


def test_features_that_rounding_alone_sets_apart_are_not_clear() -> None:
    """Each rounded figure stands for all true ones that are rounded to it: none of these may be within chance."""
    rng = random.Random(3)
    clear = 0
    for _ in range(4000):
        of, rounding = rng.randint(60, 400), 4
        users, others = rng.randint(20, of // 2), rng.randint(20, of // 2)
        both = rng.randint(5, min(users, others))
        shown_users, shown_others, shown_of, shown = (one // 5 * 5 for one in (users, others, of, both))
        row = {"installs": shown, "expected": round(shown_users * shown_others / shown_of, 1)}
        if together_is_clear(row, shown_users, shown_of, rounding):
            clear += 1
            assert abs(together(both, users * others / of, users, of)) > 1.8
    assert clear > 1000


@pytest.mark.parametrize(
    ("installs", "share_of_others", "rounding", "clear"),
    [
        (10, 0.1, 0, True), (10, 0.1, 4, False), (25, 0.1, 4, True), (20, None, 4, True), (10, None, 4, True),
        (5, 0.13, 0, False), (5, 0.5, 4, False), (5, 0.5, 0, False),
    ],
)  # fmt: skip
def test_a_feature_of_the_installs_hurt_is_clear_beyond_rounding(
    installs: int, share_of_others: float | None, rounding: int, clear: bool
) -> None:
    """In multiples of 5, 10 of 35 may be 10 of 39, and a tenth of 65 may be 10 of 60."""
    row = {"installs": installs, "share": installs / 35, "share_of_others": share_of_others}
    assert is_clear(row, {"installs": 35, "of": 100}, 5, rounding) == clear


def test_rounding_alone_names_no_version() -> None:
    """In multiples of 5, as for any other change. What no rounding makes stays named."""
    before, now = (
        users({"4.0.0": (20, 40), "3.3.0": (60, 120)}, {}, 0),
        users({"4.0.0": (5, 40), "3.3.0": (60, 120)}, {}, 0),
    )
    assert changed_above_all(before, now, -0.1, {}) == "4.0.0"
    assert changed_above_all(replace(before, rounding=4), replace(now, rounding=4), -0.1, {}) == ""
    assert changed_above_all(now, before, 0.1, {}) == "4.0.0"
    assert changed_above_all(replace(now, rounding=4), replace(before, rounding=4), 0.1, {}) == ""
    released = users({"3.3.0": (60, 120)}, {}, 0)
    assert changed_above_all(released, now, -0.1, {}) == "4.0.0"
    few = users({"4.0.0": (10, 40), "3.3.0": (60, 120)}, {}, 0)
    assert changed_above_all(released, few, -0.1, {}) == "4.0.0"
    assert changed_above_all(released, replace(few, rounding=9), -0.1, {}) == ""
    many = users({"4.0.0": (200, 400), "3.3.0": (600, 1200)}, {}, 0)
    gone = users({"4.0.0": (50, 400), "3.3.0": (600, 1200)}, {}, 0)
    assert changed_above_all(replace(many, rounding=4), replace(gone, rounding=4), -0.1, {}) == "4.0.0"


@pytest.mark.parametrize(
    ("installs", "share_of_others", "clear"),
    [(6, 0.16, False), (20, 0.16, True), (20, None, True), (6, None, True), (5, 0.1, False), (36, None, False)],
)
def test_a_feature_of_the_installs_hurt_is_clear_or_may_be_chance(
    installs: int, share_of_others: float | None, clear: bool
) -> None:
    """A share of the others that is not told is that of four of them, or says nothing if it may be that of all."""
    row = {"installs": installs, "share": installs / 36, "share_of_others": share_of_others}
    assert is_clear(row, {"installs": 36, "of": 319}, 5) == clear


def weeks(*shares: float | None) -> list[tuple[date, float | None]]:
    return [(MONDAY + timedelta(weeks=number), share) for number, share in enumerate(shares)]


def test_a_falling_share_has_the_day_on_which_it_is_under_the_threshold() -> None:
    """16% that halves each week is under 2% a little more than three weeks later."""
    projection = project(weeks(*(0.16 * 2**number for number in range(6, -1, -1))))
    assert projection is not None
    assert projection.falls
    for course in (projection.lowest, projection.likeliest, projection.highest):  # no week is off its course
        assert course.share == pytest.approx(0.16)
        assert course.per_week == pytest.approx(0.5)
        under = course.under(0.02)
        assert under is not None
        assert 20 <= (under - course.last).days <= 22
        assert course.on(under) <= 0.0201


@pytest.mark.parametrize("shares", [[], [0.1], [0.1] * 5, [0.1, None, None, None, None, None, 0.05]])
def test_few_weeks_have_no_projection(shares: list[float | None]) -> None:
    """Fewer than six known weeks say nothing."""
    assert project(weeks(*shares)) is None


def test_a_share_that_does_not_fall_has_no_day() -> None:
    """A share that rises, stays or falls by next to nothing is never under the threshold; one under it is already."""
    for shares in ([0.1] * 8, [0.1 + number / 100 for number in range(8)], [0.1 - number / 1e6 for number in range(8)]):
        projection = project(weeks(*shares))
        assert projection is not None
        assert projection.likeliest.under(0.02) is None
    low = project(weeks(*[0.01] * 8))
    assert low is not None
    assert low.likeliest.under(0.02) == low.likeliest.last


def test_a_projection_knows_how_sure_it_is() -> None:
    """The 95% interval of a slope of least squares: of 1, 2, 3, 5, 4, 6 it is 0.94 and 2.776 times 0.167 around it."""
    projection = project(weeks(*(exp(number) for number in (1, 2, 3, 5, 4, 6))))
    assert projection is not None
    slopes = [log(course.per_week) for course in (projection.lowest, projection.likeliest, projection.highest)]
    assert slopes == pytest.approx([0.4803, 0.9429, 1.4053], abs=0.0005)
    assert projection.rises
    assert not projection.falls
    alike = project(weeks(*(exp(number) for number in (1, 2.4, 3.6, 4.6, 5.4, 6))))  # by less and less
    assert alike is not None
    slopes = [log(course.per_week) for course in (alike.lowest, alike.likeliest, alike.highest)]
    assert slopes == pytest.approx([0.7601, 1.0, 1.2399], abs=0.0005)
    unclear = project(weeks(0.05, 0.04, 0.05, 0.03, 0.05, 0.04, 0.05))
    assert unclear is not None
    assert unclear.likeliest.per_week < 1 + 1e-3
    assert not unclear.falls
    assert not unclear.rises


def release(version: str, *shares: int, of: int = 1000) -> Release:
    return Release(version, MONDAY, [(share * of // 100, of) for share in shares])


EARLIER = [release("3.0", 1, 10, 20), release("3.1", 2, 12, 24), release("3.2", 1, 14, 22)]


@pytest.mark.parametrize(
    ("share", "judged"),
    [(22, "It takes hold as they did."), (40, "It takes hold faster than each"), (5, "It takes hold slower than each")],
)
def test_a_release_is_judged_beside_earlier_ones_at_its_age(share: int, judged: str) -> None:
    """The verdict names the share, its interval, and the range of the earlier ones."""
    told = verdict(release("4.0", 1, 5, share), EARLIER)
    assert judged in told
    assert "95% interval" in told
    assert "Of the 3 releases before, 3 reached that age before a higher version came out, with 20% to 24%." in told
    assert told.startswith("On 25 Nov 2026, 2 days after its release, 4.0 is on ")


@pytest.mark.parametrize(("share", "judged"), [(10, "below all of them"), (35, "above all of them")])
def test_a_release_on_few_installs_may_be_outside_by_chance(share: int, judged: str) -> None:
    """A share outside of the earlier ones whose interval reaches into them is no slower or faster release."""
    told = verdict(release("4.0", 5, 5, share, of=20), EARLIER)
    assert f"It is {judged}, but by so few installs that this may be chance." in told


def test_no_verdict_without_enough_to_compare_with() -> None:
    """Fewer than two earlier releases, or none with that age, give no verdict; nor does a release without figures."""
    assert "too few for a verdict" in verdict(release("4.0", 1, 5, 20), EARLIER[:1])
    assert "too few for a verdict" in verdict(release("4.0", 1, 5, 20, 30), EARLIER)
    assert "Of the 3 releases before, 0 reached" in verdict(release("4.0", 1, 5, 20, 30), EARLIER)
    assert "too few installs" in verdict(Release("4.0", MONDAY, [None]), EARLIER)


def test_a_release_is_compared_until_it_is_replaced() -> None:
    """3.1 came out on the second day of 3.0: its share after that is that of a release that installs leave."""
    replaced, next_one = release("3.0", 10, 20, 8, 3), replace(release("3.1", 5, 30), released=MONDAY + DAY * 2)
    assert [one.curve for one in until_replaced([replaced, next_one])] == [[0.1, 0.2], [0.05, 0.3]]
    told = verdict(release("4.0", 1, 5, 20), [*until_replaced([replaced, next_one]), *EARLIER[:2]])
    assert "Of the 4 releases before, 2 reached that age" in told
    assert until_replaced([]) == []


def test_a_patch_of_an_older_version_replaces_none() -> None:
    """Nor does a version that came out on the same day. One that came out before does not end it either."""
    newest, patch = release("3.3", 10, 20, 30), replace(release("3.2.9", 1, 2), released=MONDAY + DAY)
    same_day = release("3.4", 1, 2)
    assert [len(one.curve) for one in until_replaced([newest, patch, same_day])] == [3, 2, 2]


def test_the_band_goes_as_far_as_two_releases() -> None:
    """It has the lowest and the highest at each age, and ends where only one release is left."""
    assert band([], 5) == []
    assert band(EARLIER[:1], 5) == []
    assert band(EARLIER, 5) == [(0.01, 0.02), (0.1, 0.14), (0.2, 0.24)]
    assert band(EARLIER, 1) == [(0.01, 0.02), (0.1, 0.14)]
