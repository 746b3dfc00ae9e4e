"""The filters of an address: relative ranges, conditions, comparisons, and what is refused."""

from datetime import date

import pytest

from dashboard.charts.registry import CHARTS
from dashboard.display_names import DIMENSIONS
from dashboard.filters import Filters, before_in_words, read
from dashboard.glossary import TERMS
from warehouse.queries import dimensions
from warehouse.queries.metrics import QueryError

NOW = date(2026, 11, 28)


def days(search: str, now: date = NOW, first: date | None = None) -> tuple[str, str]:
    chosen = read(search, now, first)
    return chosen.start.isoformat(), chosen.end.isoformat()


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", ("2026-10-31", "2026-11-27")),
        ("?range=7d", ("2026-11-21", "2026-11-27")),
        ("?range=28d&today=yes", ("2026-11-01", "2026-11-28")),
        ("?range=90d", ("2026-08-30", "2026-11-27")),
        ("?range=12m", ("2025-11-28", "2026-11-27")),
        ("?range=quarter", ("2026-10-01", "2026-11-27")),
        ("?from=2026-11-01&to=2026-11-28", ("2026-11-01", "2026-11-28")),
    ],
)
def test_a_range_ends_yesterday_unless_today_is_asked_for(search: str, expected: tuple[str, str]) -> None:
    """Relative ranges end yesterday, with `today=yes` today. Fixed days stay as they are."""
    assert days(search) == expected


def test_a_range_without_a_whole_day_ends_today() -> None:
    """On the first day of a quarter, and on the day of the first beacon, the range includes today."""
    assert days("?range=quarter", date(2026, 10, 1)) == ("2026-10-01", "2026-10-01")
    assert days("?range=7d", first=NOW) == ("2026-11-22", "2026-11-28")


def test_twelve_months_end_on_a_leap_day() -> None:
    """Twelve months up to 29 February begin on 1 March."""
    assert days("?range=12m", date(2028, 3, 1)) == ("2027-03-01", "2028-02-29")


def test_conditions_are_passed_to_the_read_api() -> None:
    """Each filter of the read API is a parameter of each question. Other names are left to the page."""
    chosen = read("?module=a&php_series.lt=8.0&os=debian&status=x&utm_source=mail", NOW)
    assert chosen.conditions == {"php_series.lt": "8.0", "os": "debian"}
    assert chosen.args(by="php") == {
        "from": "2026-10-31", "to": "2026-11-27", "module": "a", "php_series.lt": "8.0", "os": "debian", "by": "php",
    }  # fmt: skip


def test_users_of_a_feature_are_counted_over_all_reports() -> None:
    """`count=latest`, which the read API refuses for them, is not asked of the users of a feature."""
    assert "count" not in read("?feature=bulk_email", NOW).args(count="latest")


@pytest.mark.parametrize(("search", "count"), [("?module=a", None), ("?os=debian", "reported"), ("?feature=x", None)])
def test_so_are_the_installs_that_they_are_a_share_of(search: str, count: str | None) -> None:
    """Without filters the question stays that of other cards, and is asked once."""
    chosen = read(search, NOW)
    assert chosen.base(by="module") == chosen.args(by="module") | ({"count": count} if count else {})


@pytest.mark.parametrize(
    ("search", "named"),
    [
        ("?range=3d", "range"),
        ("?today=no", "today"),
        ("?compare=nope", "compare"),
        ("?range=7d&from=2026-11-01", "range"),
        ("?today=yes&to=2026-11-01", "today"),
        ("?os.lt=3", "os.lt"),
        ("?php_series.lt=x", "php_series.lt"),
        ("?php_series.xx=8", "php_series.xx"),
    ],
)
def test_what_an_address_says_wrong_is_named(search: str, named: str) -> None:
    """A value that is not known is an error that names the parameter, and is never dropped."""
    with pytest.raises(QueryError) as error:
        read(search, NOW)
    assert error.value.param == named


def compared(search: str) -> tuple[Filters, Filters] | None:
    return read(search, NOW).compared(NOW)


def test_only_complete_days_are_compared() -> None:
    """With today in the range, both sides have the complete days alone. They are of the same number."""
    for search in (
        "?range=28d&today=yes",
        "?range=quarter&compare=year",
        "?from=2026-11-28&to=2026-11-28&compare=year",
    ):
        pair = compared(search)
        if pair is not None:
            complete, before = pair
            assert complete.end < NOW
            assert complete.days == before.days
    complete, before = compared("?range=7d&compare=year") or pytest.fail("no comparison")
    assert (before.start.isoformat(), before.end.isoformat()) == ("2025-11-21", "2025-11-27")
    assert compared("?from=2026-11-28&to=2026-11-28") is None
    assert compared("?compare=off") is None


@pytest.mark.parametrize(
    ("search", "expected", "words"),
    [
        ("?from=2026-11-26&to=2026-11-26", ("2026-11-19", "2026-11-19"), "19 Nov 2026"),
        ("?from=2026-11-23&to=2026-11-27", ("2026-11-16", "2026-11-20"), "the same days of the week before"),
        ("?range=7d", ("2026-11-14", "2026-11-20"), "the 7 days before"),
        ("?range=28d", ("2026-10-03", "2026-10-30"), "the 28 days before"),
        ("?range=28d&compare=year", ("2025-10-31", "2025-11-27"), "the same days last year"),
    ],
)
def test_few_days_are_compared_with_the_same_weekdays(search: str, expected: tuple[str, str], words: str) -> None:
    """A Sunday is calmer than a Monday. From seven days on it is the period right before."""
    _, before = compared(search) or pytest.fail("no comparison")
    assert (before.start.isoformat(), before.end.isoformat()) == expected
    assert before_in_words(before) == words


def test_every_dimension_and_chart_is_in_the_glossary() -> None:
    """The hover text of a chart and the name of a filter come from the glossary."""
    assert DIMENSIONS.keys() == set(dimensions.ALL)
    assert {chart.term for chart in CHARTS.values()} <= TERMS.keys()
