"""What may be asked of the read API, and why the rest may not."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

import pytest

from core.fields import DIMENSIONS
from warehouse.engine import Engine
from warehouse.queries.dimensions import implied, matches
from warehouse.queries.metrics import (
    GRAINS,
    LICENSE_DIMENSIONS,
    METRICS,
    MOST_GROUPINGS,
    MetricQuery,
    QueryError,
    answer,
    parse,
)
from warehouse.queries.questions import QUESTIONS, Terms, ask

TODAY = date(2026, 11, 22)


def refusal(metric: str, **args: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        parse(metric, {name.rstrip("_"): value for name, value in args.items()}, TODAY)
    return caught.value


def test_the_defaults_are_the_last_30_days_by_day() -> None:
    """Without parameters: 30 days up to today, a bucket each day, installs in one line and features by feature."""
    start = date(2026, 10, 24)
    assert parse("installs", {}, TODAY) == MetricQuery("installs", start, TODAY, "day", None, {})
    assert parse("feature_uses", {}, TODAY) == MetricQuery("feature_uses", start, TODAY, "day", "feature", {})
    assert parse("feature_installs", {"by": "none"}, TODAY).by is None


def test_empty_parameters_count_as_not_given() -> None:
    """A form that sends all its fields asks the same as one that sends none."""
    args = dict.fromkeys(["from", "to", "grain", "by", "module", "php"], "")
    assert parse("installs", args, TODAY) == parse("installs", {}, TODAY)


def test_a_span_includes_both_its_days() -> None:
    """`from` and `to` are UTC dates, both included; `from` follows `to` where it is not given."""
    query = parse("installs", {"from": "2026-01-31", "to": "2026-01-31"}, TODAY)
    assert (query.start, query.end) == (date(2026, 1, 31), date(2026, 1, 31))
    assert parse("installs", {"to": "2026-03-30"}, TODAY).start == date(2026, 3, 1)
    assert parse("installs", {"from": "2016-11-16"}, TODAY).end == TODAY


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", [name for name in DIMENSIONS if name != "license_source"])
def test_every_dimension_groups_and_filters(metric: str, name: str) -> None:
    """Any dimension of the usage plane may be crossed with any other of it."""
    query = parse(metric, {"by": name, "php": "8.2.12", name: "x"}, TODAY)
    assert query.by == name
    assert query.filters == {"php": "8.2.12", name: "x"}


@pytest.mark.parametrize("grain", GRAINS)
def test_every_grain_may_be_asked_for(grain: str) -> None:
    """day, week, month and period."""
    assert parse("installs", {"grain": grain}, TODAY).grain == grain


@pytest.mark.parametrize("value", ["8.2.12", "a" * 64, "it's", "100%", "{x:String}", "ä", "(other)"])
def test_a_filter_is_any_printable_text(value: str) -> None:
    """A filter's value is compared, never interpreted."""
    assert parse("installs", {"module": value}, TODAY).filters == {"module": value}


@pytest.mark.parametrize(
    ("args", "reason", "param"),
    [
        ({"form": "2026-11-01"}, "unknown_field", "form"),
        ({"From": "2026-11-01"}, "unknown_field", "From"),
        ({"install": "1"}, "unknown_field", "install"),
        ({"install": ""}, "unknown_field", "install"),
        ({"php_series<8.0": ""}, "unknown_field", "query"),
        ({"ip": "203.0.113.9"}, "unknown_field", "ip"),
        ({"jane@example.com": "1"}, "unknown_field", "query"),
        ({"from": "yesterday"}, "bad_format", "from"),
        ({"from": "2026-11-31"}, "bad_format", "from"),
        ({"from": "2026-11-1"}, "bad_format", "from"),
        ({"from": "20261101"}, "bad_format", "from"),
        ({"from": "2026-W47-1"}, "bad_format", "from"),
        ({"from": "٢٠٢٦-11-01"}, "bad_format", "from"),
        ({"from": "2026-11-01\n"}, "bad_format", "from"),
        ({"to": "2026-11-01T00:00:00Z"}, "bad_format", "to"),
        ({"to": "1970-12-31"}, "out_of_range", "to"),
        ({"to": "2149-01-01"}, "out_of_range", "to"),
        ({"from": "2026-11-23"}, "out_of_range", "from"),
        ({"from": "2016-11-14"}, "out_of_range", "from"),
        ({"grain": "hour"}, "bad_format", "grain"),
        ({"grain": "Day"}, "bad_format", "grain"),
        ({"by": "install"}, "bad_format", "by"),
        ({"by": "os_family"}, "bad_format", "by"),
        ({"by": "module,phase"}, "bad_format", "by"),
        ({"by": "os,"}, "bad_format", "by"),
        ({"by": "module,module"}, "out_of_range", "by"),
        ({"by": "module,php,whmcs"}, "out_of_range", "by"),
        ({"count": "first"}, "bad_format", "count"),
        ({"php_series.gt": "8.0"}, "unknown_field", "php_series.gt"),
        ({"php_series.": "8.0"}, "unknown_field", "php_series."),
        ({"php.series.lt": "8.0"}, "unknown_field", "php.series.lt"),
        ({"phase.lt": "8.0"}, "unknown_field", "phase.lt"),
        ({"module.lt": "8.0"}, "out_of_range", "module.lt"),
        ({"feature.in": "a,b"}, "out_of_range", "feature.in"),
        ({"php_series.lt": "eight"}, "bad_format", "php_series.lt"),
        ({"database_series.lt": "mariadb"}, "bad_format", "database_series.lt"),
        ({"os_release.ge": "debian"}, "bad_format", "os_release.ge"),
        ({"php_series.in": "8.1,,8.2"}, "bad_format", "php_series.in"),
        ({"php_series.in": ",".join(map(str, range(51)))}, "too_many_items", "php_series.in"),
        ({"module": "a" * 65}, "bad_format", "module"),
        ({"module": "a\0"}, "bad_format", "module"),
        ({"php": "8\n"}, "bad_format", "php"),
    ],
)
@pytest.mark.parametrize("metric", METRICS)
def test_what_cannot_be_asked_is_refused(metric: str, args: dict[str, str], reason: str, param: str) -> None:
    """A query that is wrong is refused with the reason and the parameter, and without its value."""
    with pytest.raises(QueryError) as caught:
        parse(metric, args, TODAY)
    assert (caught.value.reason, caught.value.param) == (reason, param)
    assert not [value for value in args.values() if len(value) > 3 and value in caught.value.detail]


@pytest.mark.parametrize(
    ("name", "wanted", "value", "met"),
    [
        ("php_series.lt", "8.10", "8.9", True),
        ("php_series.le", "8.1", "8.1", True),
        ("php.lt", "8.2", "8.2.0-1ubuntu1", False),
        ("php.lt", "8.2", "8.2.0RC1", True),
        ("php.ge", "8.2", "nightly", False),
        ("version.in", "3.2,3.3", "3.3", True),
        ("version.in", "3.2,3.3", "3.30", False),
        ("database_series.lt", "mariadb-10.6", "mysql-8.0", False),
        ("database_series.lt", "mariadb-10.6", "mariadb-10.5", True),
        ("database.lt", "mariadb-10.6", "5.5.5-10.5.9-MariaDB", True),
        ("os_release.ge", "debian 11", "debian 12", True),
        ("os_release.ge", "debian 11", "ubuntu 22.04", False),
        ("os_version.lt", "9", "8.10", True),
    ],
)
def test_conditions_compare_versions(name: str, wanted: str, value: str, met: bool) -> None:
    """As versions, and within one product."""
    assert matches(name, wanted, value) is met
    assert parse("installs", {name: wanted}, TODAY).filters == {name: wanted}


@pytest.mark.parametrize(
    ("metric", "args"),
    [
        ("feature_installs", {}),
        ("feature_uses", {"by": "php"}),
        ("installs", {"by": "feature"}),
        ("installs", {"by": "version,feature"}),
        ("installs", {"feature": "x"}),
    ],
)
def test_features_have_no_latest(metric: str, args: dict[str, str]) -> None:
    """The latest report of an install does not say which features it uses."""
    error = refusal(metric, count="latest", **args)
    assert (error.reason, error.param) == ("out_of_range", "count")


def test_what_is_told_implies_its_series() -> None:
    """So that `PHAROS_DISCLOSURE=strict` knows that a version's installs are among those of its series."""
    assert implied({("php", "8.2.12"), ("os", "debian"), ("os_version", "12.5")}) == {
        ("php_series", "8.2"),
        ("os_release", "debian 12"),
    }
    assert implied({("os_release", "debian 12")}) == {("os", "debian")}


USAGE_ONLY = [name for name in DIMENSIONS if name not in LICENSE_DIMENSIONS]


def test_the_planes_share_no_more_dimensions_than_their_rows_do() -> None:
    """What may be crossed with a license source is what the license plane holds itself."""
    assert set(LICENSE_DIMENSIONS) == {
        "module", "version", "license_status", "license_source", "country", "version_series"
    }  # fmt: skip
    assert {"os", "php", "whmcs", "virtualization", "feature"} <= set(USAGE_ONLY)


@pytest.mark.parametrize("name", USAGE_ONLY)
def test_no_query_joins_the_planes(name: str) -> None:
    """A license source with anything that only the usage plane holds is refused, either way round, and says why."""
    asked = [
        {"by": "license_source", name: "x"},
        {"by": name, "license_source": "x"},
        {name: "x", "license_source": "y"},
    ]
    for args in asked:
        error = refusal("installs", **args)
        assert error.reason == "out_of_range"
        assert error.param == name
        assert "license plane" in error.detail
        assert "usage plane" in error.detail


@pytest.mark.parametrize("metric", ["feature_installs", "feature_uses"])
@pytest.mark.parametrize(
    "args", [{"by": "license_source"}, {"license_source": "x"}, {"by": "none", "license_source": "x"}]
)
def test_no_feature_is_told_by_license_source(metric: str, args: dict[str, str]) -> None:
    """Features are in the usage plane alone."""
    error = refusal(metric, **args)
    assert (error.reason, error.param) == ("out_of_range", "license_source")


@pytest.mark.parametrize("name", [name for name in LICENSE_DIMENSIONS if name != "license_source"])
def test_the_license_plane_answers_for_itself(name: str) -> None:
    """What both planes hold may be crossed with a license source."""
    assert parse("installs", {"by": "license_source", name: "x"}, TODAY).by == "license_source"
    assert parse("installs", {"by": name, "license_source": "x"}, TODAY).by == name


class Lopsided(Engine):
    """Whatever is asked: 97 installs say "x", and three say "y"."""

    def __init__(self) -> None:
        self.asked, self.cluster, self.database = 0, "", "pharos"

    def as_user(self, account: Any) -> Any:
        return self

    def query(self, sql: str, *_: Any) -> list[tuple[Any, ...]]:
        self.asked += "AS of_month" in sql
        if "AS of_month" in sql:
            return self.groups(grouped="0::UInt32 AS number" not in sql)
        if sql.startswith("SELECT sum(bitCount("):
            return [(0,)]
        if "AS value FROM" in sql:
            return [("x",), ("y",)]
        return [(TODAY, 3, 0, 0, 0.0, 100, 0, 0, 0.0)] if "has({buckets" in sql else [(None, 0)]

    def groups(self, *, grouped: bool) -> list[tuple[Any, ...]]:
        """The installs of today by the number of a key, which is 0 where all installs have the same."""
        return [_today(1, 97), _today(2, 3)] if grouped else [_today(0, 100)]


def _today(number: int, installs: int) -> tuple[int, date, list[int]]:
    """A row of a key: its installs by day of the month."""
    days = [0] * 32
    days[TODAY.day - 1] = installs
    return number, TODAY.replace(day=1), days


class Alike(Lopsided):
    """Whatever is asked: 97 installs say "x", and no others do."""

    def groups(self, *, grouped: bool) -> list[tuple[Any, ...]]:
        return [_today(int(grouped), 97)]


@pytest.mark.parametrize(("filters", "asked"), [(1, 1), (2, 4), (3, 12), (13, MOST_GROUPINGS)])
def test_the_questions_of_one_answer_are_bounded(filters: int, asked: int) -> None:
    """Each grouping that must tell of the filters is asked for once; what is not found out by then is withheld."""
    engine = Alike()
    dimensions = [name for name in DIMENSIONS if name not in ("license_source", "module")][:filters]
    told = answer(engine, parse("installs", dict.fromkeys(dimensions, "x"), TODAY), 5)
    assert engine.asked == asked
    shown = [row["value"] for row in told["rows"] if row["bucket"] == str(TODAY)]
    assert shown == ([None] if asked == MOST_GROUPINGS else [97])


@pytest.mark.parametrize("filters", [0, 1, 2, 13])
def test_one_grouping_that_does_not_tell_is_enough(filters: int) -> None:
    """No other one is asked for then."""
    engine = Lopsided()
    dimensions = [name for name in DIMENSIONS if name != "license_source"][:filters]
    told = answer(engine, parse("installs", dict.fromkeys(dimensions, "x"), TODAY), 5)
    assert engine.asked == max(filters, 1)
    assert [row["value"] for row in told["rows"] if row["bucket"] == str(TODAY)] == ([None] if filters else [100])


class Nobody(Lopsided):
    """Nobody has reported anything in the span."""

    def groups(self, *, grouped: bool) -> list[tuple[Any, ...]]:
        return []


def test_of_nobody_one_grouping_is_asked_for() -> None:
    """Where nobody is in any group of one filter's dimension, no other grouping can tell more."""
    engine = Nobody()
    told = answer(engine, parse("installs", {"os": "x", "php": "x", "arch": "x"}, TODAY), 5)
    assert engine.asked == 1
    assert {row["value"] for row in told["rows"]} == {None}


class _Asked(Exception):
    """The engine was asked a second time."""


class _Once(Engine):
    """An engine that answers the first statement, which must be about freshness."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cluster, self.database = "", "pharos"

    def as_user(self, account: Any) -> "_Once":
        return self

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        self.asked.append(sql)
        if len(self.asked) > 1:
            raise _Asked
        return [(None, 0)]


def test_no_figure_is_older_than_what_its_answer_states() -> None:
    """Every answer reads how fresh the figures are before it reads the figures: what is loaded in between is more."""
    engine = _Once()
    asked: dict[str, Callable[[], Any]] = {name: partial(answer, engine, parse(name, {}, TODAY), 5) for name in METRICS}
    given = {"module": "invoice_pro", "feature": "a.b"}
    for name, kind in QUESTIONS.items():
        condition = {"version": "1.0"} if name == "adoption" else {"php_series.lt": "8.0"}
        args = condition | {each: given[each] for each in kind.required}
        asked[name] = partial(ask, engine, name, args, Terms(5), TODAY, TODAY)
    for name, question in asked.items():
        engine.asked.clear()
        with pytest.raises(_Asked):
            question()
        assert "FROM freshness_by_loader" in engine.asked[0], name
        assert len(engine.asked) > 1
