"""Each question of the read API against a count of the tests' own, on a fleet of five months with a leap day."""

import itertools
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.catalog import Catalog, Entry
from core.home import Home
from pharos import synthetic_fleet
from tests.bench.estimates import sampled_beyond
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.fleet import questions as counted
from tests.fleet import reference
from tests.fleet.questions import History
from tests.warehouse.test_engine import done_in
from warehouse import migrate
from warehouse.engine import Engine
from warehouse.limited_engine import LimitedEngine
from warehouse.queries import group_counts, metrics
from warehouse.queries.dimensions import SERIES
from warehouse.queries.questions import Terms, adoption_of_each_version, ask, drop_of_each_module, first_use
from warehouse.shared_statements import SharedStatements

TODAY = date(2028, 4, 5)  # a Wednesday
END = date(2028, 4, 3)
DAYS, INSTALLS = 150, 160
K = 5
FILTERS: list[dict[str, str]] = [
    {},
    {"module": "invoice_pro"},
    {"module": "bulk_mailer", "php_series": "8.1"},
    {"php_series.lt": "8.2"},
    {"whmcs_series.in": "8.13,8.12", "os": "almalinux"},
    {"module": "invoice_pro", "version.ge": "3.2"},
    {"database_series.ge": "mariadb-10.6"},
]
DIMENSIONS = (*(name for name in reference.PATHS if name not in ("module", "license_source")), *SERIES)
WHOLE = ("installs", "of", "share", "at_least", "at_most", "still_upgrading")
RELEASED = date(2028, 1, 20)
CATALOG = Catalog(
    entries={
        ("module", name): Entry("module", name, "why", "who", releases={version: RELEASED})
        for name, version in (("bulk_mailer", "2.0.1"), ("invoice_pro", "2.9.4"))
    }
)
ASKED: list[tuple[str, dict[str, str]]] = []
for filters in FILTERS:
    for grain in ("week", "month"):
        span = {"from": "2027-12-15", "grain": grain}
        ASKED.append(("lifecycle", {**filters, **span}))
        ASKED.append(("lifecycle", {**filters, **span, "count": "latest"}))
        ASKED.append(("retention", {**filters, **span}))
        ASKED.append(("retention", {**filters, **span, "feature": "admin.widget"}))
        ASKED.append(("first_use", {**filters, **span, "feature": "admin.widget"}))
ASKED += [
    ("lifecycle", {"from": "2027-11-01", "grain": "month"}),
    ("lifecycle", {"from": "2027-11-01"}),
    ("lifecycle", {"from": "2027-02-08", "to": "2028-04-02", "php_series.lt": "8.2", "count": "latest"}),
    ("retention", {"from": "2027-11-01", "grain": "month"}),
    ("lifecycle", {"from": "2028-02-10", "to": "2028-03-02"}),
    ("lifecycle", {"module": "edges", "from": "2028-02-01", "grain": "month"}),
    ("lifecycle", {"module": "edges", "from": "2028-01-24"}),
    ("retention", {"module": "edges", "from": "2028-01-24"}),
    ("retention", {"module": "edges", "from": "2028-01-24", "feature": "edge"}),
    ("first_use", {"feature": "admin.widget", "from": "2027-11-01"}),
    ("first_use", {"module": "edges", "feature": "edge", "from": "2028-01-10"}),
    ("first_use", {"module": "edges", "feature": "edge", "from": "2028-01-31", "to": "2028-03-30", "php": "8.2.12"}),
    ("first_use", {"module": "edges", "feature": "no_such_feature", "from": "2028-01-31"}),
    ("adoption", {"module": "invoice_pro", "version": "4.0.0"}),
    ("adoption", {"module": "invoice_pro", "version": "4.0.0", "to": "2028-02-29", "days": "366"}),
    ("adoption", {"module": "invoice_pro", "version_series": "3.2", "php_series.ge": "8.1", "days": "60"}),
    ("adoption", {"module": "bulk_mailer", "version": "2.0.1", "days": "30"}),
    ("adoption", {"module": "edges", "version": "1.10"}),
    ("adoption", {"module": "invoice_pro", "version": "99"}),
    *(
        ("upgrades", {**filters, "by": by, "from": "2027-12-31"})
        for filters in FILTERS
        if "module" in filters
        for by in ("version", "version_series")
    ),
    ("upgrades", {"module": "edges", "from": "2028-02-29", "to": "2028-02-29"}),
    ("upgrades", {"module": "domain_tools"}),
    *(("together", {**filters, "from": "2028-01-13", "to": "2028-03-30"}) for filters in FILTERS),
    ("together", {"module": "invoice_pro", "from": "2028-02-29", "to": "2028-03-05"}),
    ("together", {"from": "2028-02-01", "feature": "admin.widget"}),
    *(
        ("drop", {"module": module, **condition, "from": "2028-02-15", "to": "2028-03-31"})
        for module in ("invoice_pro", "bulk_mailer")
        for condition in (
            {"php_series.lt": "8.2"},
            {"whmcs_series.le": "8.12"},
            {"os": "almalinux", "php_series.le": "8.1"},
            {"os_release.lt": "almalinux 9"},
            {"database_series.lt": "mariadb-10.11"},
        )
    ),
    ("drop", {"module": "edges", "php_series.ge": "8.2", "from": "2028-02-28", "to": "2028-03-01"}),
    ("drop", {"module": "edges", "version.ge": "1.10", "from": "2028-02-27", "to": "2028-02-29"}),
    *(
        (name, {"module": module, "from": "2028-01-03", **feature})
        for module in ("no_such_module", "few", "slow")
        for name, feature in (("lifecycle", {}), ("retention", {}), ("first_use", {"feature": "edge"}))
    ),
    ("lifecycle", {"php": "no-such-version"}),
]
# Of the module `near` 23 installs are active in this span: 3 are older than it, the others are new, and one of all
# reports no PHP. What an answer shows and what is active besides:
NEAR = {"module": "near", "from": "2028-01-24"}
BESIDE = [
    (("lifecycle", NEAR), {"active": None, "answered": None}),
    (("retention", NEAR), {"active": None, "answered": None}),
    (("first_use", NEAR | {"feature": "edge"}), {"active": None, "answered": None}),
    (("drop", NEAR | {"php_series.lt": "9"}), {"active": None, "answered": 22}),
    (("adoption", {"module": "near", "version": "1.0"}), {"active": 25, "answered": 25}),
    (("together", NEAR), {"active": 23, "answered": 23}),
]
ASKED += [asked for asked, _ in BESIDE]


# These are also asked of a sample.
SAMPLED = [
    next(number for number, (asked, args) in enumerate(ASKED) if asked == name and args.get("module") == "invoice_pro")
    for name in ("lifecycle", "retention", "first_use", "adoption", "upgrades", "together", "drop")
]


def fleet() -> list[reference.Beacon]:
    """Installs that report about once in four days, in random order, with edge cases in a module of their own."""
    sent = [*synthetic_fleet.beacons(11, INSTALLS, DAYS, END, 0.25), *edges()]
    random.Random(11).shuffle(sent)
    return sent


def edges() -> Iterator[reference.Beacon]:
    """Upgrades within a day, returns, and days at the borders of weeks, months and February.

    A module has fewer than k installs, one has its first install four weeks before the others, and one is `near`.
    """
    days = {
        "leap day": ["2028-02-29"],
        "both borders": ["2028-02-01", "2028-02-29", "2028-03-01", "2028-03-31"],
        "Sunday and Monday": ["2028-02-27", "2028-02-28"],
        "comes back": ["2028-01-15", "2028-03-20"],
        "comes back in the next month": ["2028-01-31", "2028-03-01"],
        "first day of the data": ["2028-01-10", "2028-01-17", "2028-02-29"],
    }
    for number, (name, dates) in enumerate(days.items()):
        for copy in range(number + 3):
            install = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {copy}"))
            for day, version in [*((day, "1.9") for day in dates), (dates[-1], "1.10")]:
                yield beacon(
                    install_id=install, sent_at=f"{day}T10:00:00Z", module={"name": "edges", "version": version},
                    features={"edge": int(day > "2028-02-01"), "other": 1},
                )  # fmt: skip
    for module, first, later in (("few", "2028-01-10", K - 2), ("slow", "2028-01-12", 2 * K)):
        for number in range(later):
            for day in (first if number == 0 else "2028-02-09", "2028-02-22"):
                yield beacon(
                    install_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{module} {number}")), sent_at=f"{day}T10:00:00Z",
                    module={"name": module, "version": "1.0"}, features={"edge": 1},
                )  # fmt: skip
    seen = [*[["2028-01-05"]] * 2, *[["2028-01-05", "2028-01-25"]] * 3, *[["2028-02-08"]] * 20]
    for number, dates in enumerate(seen):
        for day in dates:
            sent = beacon(
                install_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"near {number}")), sent_at=f"{day}T10:00:00Z",
                module={"name": "near", "version": "1.0"}, features={"edge": 1},
            )  # fmt: skip
            yield {name: value for name, value in sent.items() if name != "platform" or number < 24}


def answers(engine: Engine, home: Home) -> list[dict[str, Any]]:
    """The answers to all that is asked, first with k = 1, then with k = 5."""
    migrate.migrate(engine)
    planes = Planes(b"root secret of the tests")
    splits = [planes.split(one, "198.51.100.7", datetime.now(UTC), keep_date=True) for one in fleet()]
    half = len(splits) // 2
    for part in (splits[:half], splits[half:]):  # what comes later is of earlier days, too
        insert_batch(engine, "usage", str(uuid.uuid4()), [encode(split.usage) for split in part])
    last_day = TODAY - timedelta(days=1)
    once = SharedStatements(LimitedEngine(engine, 60))  # as a page asks: k hides what the same statements tell
    exact = [ask(once, name, args, Terms(k, catalog=CATALOG), TODAY, last_day) for k in (1, K) for name, args in ASKED]
    each = [pair for k in (1, K, 40) for pair in one_by_one(once, Terms(k, catalog=CATALOG), last_day)]
    each += [pair for k in (1, 40) for pair in side_by_side(once, k)]
    with sampled_beyond(1000):
        sampled = [ask(once, *ASKED[number], Terms(1, catalog=CATALOG), TODAY, last_day) for number in SAMPLED]
        each += [*one_by_one(once, Terms(1, catalog=CATALOG), last_day), *side_by_side(once, K)]
    with patch.object(group_counts, "MOST_TEXTS", 2):
        each += rare_texts(once)
    return [*exact, *sampled, {"each": each}]


def one_by_one(engine: Engine, terms: Terms, last_day: date) -> Iterator[tuple[Any, Any]]:
    """The figures that are asked for all modules or versions at once, each beside that of its own question."""
    modules = ["invoice_pro", "bulk_mailer", "domain_tools", "edges", "no_such_module"]
    for args in ({"php_series.lt": "8.2"}, {"os": "almalinux", "whmcs_series.le": "8.12", "from": "2028-01-10"}):
        at_once = drop_of_each_module(engine, args, modules, terms, TODAY, last_day)
        for module, found in at_once.items():
            own = ask(engine, "drop", {**args, "module": module}, terms, TODAY, last_day)
            yield from ((found[name], own[name]) for name in WHOLE)
    of_invoice_pro = ["4.0.0", "3.2.1", "2.9.4", "99"]
    for module, versions, filters in (
        ("invoice_pro", of_invoice_pro, {}),
        ("invoice_pro", of_invoice_pro, {"php_series.ge": "8.1", "os": "almalinux"}),
        ("edges", ["1.9", "1.10"], {}),
        ("edges", ["1.9", "1.10"], {"php": "no-such-version"}),
    ):
        given = {"module": module, "to": "2028-03-20", **filters}
        at_once = adoption_of_each_version(engine, given, versions, terms, TODAY, last_day)
        for version, found in at_once.items():
            own = ask(engine, "adoption", {**given, "version": version}, terms, TODAY, last_day)
            yield from ((found[name], own[name]) for name in ("released", "released_by", "rows"))


def side_by_side(engine: Engine, k: int) -> Iterator[tuple[Any, Any]]:
    """The latest values of each dimension, counted together with those of the others, and alone."""
    for filters in (FILTERS[0], FILTERS[2], FILTERS[3], FILTERS[4]):
        for open_from in (None, END - timedelta(days=2)):
            for name in DIMENSIONS:
                args = {"from": "2028-03-10", "by": name, "grain": "period", "count": "latest"} | filters
                query = metrics.parse("installs", args, END)
                alone = metrics.answer(engine, query, k, open_from=open_from)["rows"]
                for beside in (DIMENSIONS, (name, "php_series", "os_release")):
                    together = replace(query, side_by_side=tuple(beside))
                    yield metrics.answer(engine, together, k, open_from=open_from)["rows"], alone


def rare_texts(engine: Engine) -> Iterator[tuple[Any, Any]]:
    """The installs of all rows where most texts are not among the most frequent, and where all of them are."""
    for name in ("php", "php_series", "os"):
        for grain in ("period", "week", "day"):
            args = {"from": "2028-03-10", "by": name, "grain": grain, "count": "latest"}
            query = metrics.parse("installs", args, END)
            rows = metrics.answer(engine, query, 1)["rows"]
            buckets = {row["bucket"]: 0 for row in rows}
            for row in rows:
                assert row["key"] != ""
                buckets[row["bucket"]] += row["value"] or 0
            with patch.object(group_counts, "MOST_TEXTS", 2000):
                whole = metrics.answer(engine, query, 1)["rows"]
            yield buckets, {one: sum(row["value"] or 0 for row in whole if row["bucket"] == one) for one in buckets}
            assert len(rows) < len(whole)


@dataclass
class Told:
    """The answers of an engine, and what was sent."""

    answers: list[dict[str, Any]]
    beacons: reference.Sent
    histories: dict[tuple[str | None, int], History] = field(default_factory=dict)

    def of(self, number: int, k: int) -> dict[str, Any]:
        """The answer to a question."""
        return self.answers[number + (k > 1) * len(ASKED)]

    def sampled(self, number: int) -> tuple[dict[str, Any], History, int]:
        """The answer of a sample, what was sent by its installs, and one install in how many is in it."""
        answer = self.answers[2 * len(ASKED) + SAMPLED.index(number)]
        divisor = round(1 / answer["sampled"])
        planes = Planes(b"root secret of the tests")
        pseudonyms = {
            install: planes.pseudonyms(uuid.UUID(install).bytes, 0)["usage"]
            for install in {sent["install_id"] for _, sent in self.beacons}
        }
        chosen = [one for one in self.beacons if pseudonyms[one[1]["install_id"]] < 2**64 // divisor]
        return answer, History(chosen, ASKED[number][1].get("module")), divisor

    def history(self, args: Mapping[str, str], k: int = 1) -> History:
        """What was sent of the module that is asked for."""
        key = args.get("module"), k
        return self.histories.setdefault(key, self.histories.get(key) or History(self.beacons, *key))


@pytest.fixture(scope="module", params=ENGINES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("questions")
    return Told(done_in(request.param, folder, answers, 600), reference.dated(fleet()))


def conditions(args: Mapping[str, str]) -> dict[str, str]:
    own = ("from", "to", "grain", "count", "feature", "module", "days", "by")
    return {name: value for name, value in args.items() if name not in own}


def asked(name: str) -> list[Any]:
    return [pytest.param(n, id=str(args)) for n, (question, args) in enumerate(ASKED) if question == name]


def check(told: Told, number: int, rows: list[Any], few: list[Any] | None = None) -> None:
    """The answer with k = 1 has exactly these rows; with k = 5, of these or of the rows `few`, some are hidden."""
    assert told.of(number, 1)["rows"] == rows
    counted.compare(told.of(number, K)["rows"], rows if few is None else few, K)
    check_coverage(told, number)


def check_coverage(told: Told, number: int) -> None:
    """The answer says what it is about, and how many installs answered."""
    name, args = ASKED[number]
    for k in (1, K):
        answer = told.of(number, k)
        assert (answer["k"], answer["exact"], answer["metric"]) == (k, True, name)
        assert answer["filters"] == {one: args[one] for one in answer["filters"]}
        counted.check_coverage(told.history(args, k), answer, k)


def span_of(answer: Mapping[str, Any]) -> tuple[date, date]:
    return date.fromisoformat(answer["from"]), date.fromisoformat(answer["to"])


def buckets(answer: Mapping[str, Any]) -> list[date]:
    found = []
    bucket = date.fromisoformat(answer["from"])
    while bucket <= date.fromisoformat(answer["to"]):
        found.append(bucket)
        bucket = counted.following(answer["grain"], bucket)
    return found


@pytest.mark.parametrize("number", asked("lifecycle"))
def test_lifecycle(told: Told, number: int) -> None:
    """New, returning, resurrected and lost installs of each bucket."""
    args, answer = ASKED[number][1], told.of(number, 1)
    rows, few = (
        [
            counted.lifecycle(told.history(args, k), answer["grain"], bucket, conditions(args), answer["count"])
            for bucket in buckets(answer)
        ]
        for k in (1, K)
    )
    check(told, number, rows, few)
    given = told.of(number, K)["rows"]
    for before, shown, row in zip([None, *given[:-1]], given, few, strict=True):
        if row["new"] is not None:
            if before is None or before["active"] is not None:  # otherwise nobody knows their sum
                assert not counted.discloses(shown, row, ("returning", "lost"), K)
            assert not counted.discloses(shown, row, ("new", "returning", "resurrected"), K)


@pytest.mark.parametrize("number", asked("retention"))
def test_retention(told: Told, number: int) -> None:
    """How many of the installs that began in a bucket were active in each one after it."""
    args, answer = ASKED[number][1], told.of(number, 1)
    last = date.fromisoformat(answer["to"])
    rows, few = (
        [
            counted.retention(
                told.history(args, k), answer["grain"], bucket, last, conditions(args), args.get("feature")
            )
            for bucket in buckets(answer)
        ]
        for k in (1, K)
    )
    check(told, number, *([row for row in found if row] for found in (rows, few)))
    for shown in told.of(number, K)["rows"]:
        rest = [shown["installs"] - active for active in shown["active"] if active is not None]
        assert not [one for one in rest if 0 < one < K]


@pytest.mark.parametrize("number", asked("first_use"))
def test_first_use(told: Told, number: int) -> None:
    """The installs first seen in whole weeks that ended 28 days ago, and how many used it within so many days."""
    args = ASKED[number][1]
    for k in (1, K):
        answer, history = told.of(number, k), told.history(args, k)
        if history.since() == date.max:
            assert (answer["rows"], answer["from"]) == ([], None)
            continue
        start, end = span_of(answer)
        assert counted.first_day(answer["grain"], history.since()) < start
        assert counted.following(answer["grain"], counted.first_day(answer["grain"], end)) == end + timedelta(days=1)
        assert end + timedelta(days=28) < TODAY
        rows = counted.first_use(history, (start, end), conditions(args), args["feature"], first_use.WITHIN)
        counted.compare(answer["rows"], rows, k)
    check_coverage(told, number)


@pytest.mark.parametrize("name", ["lifecycle", "retention", "first_use"])
def test_a_module_of_few_installs_looks_like_one_that_does_not_exist(told: Told, name: str) -> None:
    """Neither that it is there, nor when it began."""
    of = {args["module"]: n for n, (asked, args) in enumerate(ASKED) if asked == name and "from" in args
          and args.get("module") in ("few", "no_such_module")}  # fmt: skip
    few, none = ({**told.of(of[module], K), "filters": {}} for module in ("few", "no_such_module"))
    assert {**few, "fresh_to": ""} == {**none, "fresh_to": ""}
    assert told.of(of["few"], 1) != told.of(of["few"], K)


@pytest.mark.parametrize(("asked", "coverage"), [pytest.param(*case, id=case[0][0]) for case in BESIDE])
def test_coverage_tells_no_few_beside_the_figures(told: Told, asked: tuple[str, Any], coverage: Any) -> None:
    """20 of 23 installs are new, or 22 of 23 answer: that is shown, and 23 is not. Of 25 there are 5 besides."""
    number = ASKED.index(asked)
    assert told.of(number, 1)["coverage"]["active"] == (25 if asked[0] == "adoption" else 23)
    assert told.of(number, K)["coverage"] == coverage


@pytest.mark.parametrize(("k", "first"), [(1, "2028-01-17"), (K, "2028-02-14")])
def test_data_begin_when_k_installs_have_reported(told: Told, k: int, first: str) -> None:
    """One install four weeks before the others does not show."""
    asked = {"module": "slow", "from": "2028-01-03"}
    assert told.of(ASKED.index(("retention", asked)), k)["rows"][0]["bucket"] == first
    assert told.of(ASKED.index(("first_use", asked | {"feature": "edge"})), k)["from"] == first


@pytest.mark.parametrize("seed", range(200))
def test_no_small_group_follows_from_what_is_shown_of_first_uses(seed: int) -> None:
    """Neither those who first used it in some days, nor those who did later or never."""
    chance = random.Random(seed)
    groups = [chance.choice((0, 1, 4, 5, 9, 60)) for _ in range(5)]
    *used, of = itertools.accumulate(groups)
    assert first_use.shown(used, of, 1) == used
    for installs in (used, [number - number for number in used]):
        known = [number for number in first_use.shown(installs, of, K) if number is not None]
        if of >= K:
            gaps = [later - earlier for earlier, later in itertools.pairwise([0, *known, of])] if known else []
            assert not [gap for gap in gaps if 0 < gap < K]
        else:
            assert known == []


def test_a_condition_that_few_do_not_meet_is_not_told(told: Told) -> None:
    """All but four installs meet it: neither their number nor a share of it."""
    args = {"module": "edges", "version.ge": "1.10", "from": "2028-02-27", "to": "2028-02-29"}
    number = ASKED.index(("drop", args))
    assert (told.of(number, 1)["installs"], told.of(number, 1)["of"]) == (16, 20)
    answer = told.of(number, K)
    assert (answer["installs"], answer["share"], answer["rows"], answer["features"]) == (None, None, [], [])


def test_whole_buckets_are_counted(told: Told) -> None:
    """`from` goes back to the first day of its week, `to` to the last day of the last week that is over by then."""
    number = ASKED.index(("lifecycle", {"from": "2028-02-10", "to": "2028-03-02"}))
    answer = told.of(number, 1)
    assert (answer["from"], answer["to"]) == ("2028-02-07", "2028-02-27")
    assert len(answer["rows"]) == 3


@pytest.mark.parametrize("number", asked("adoption"))
def test_adoption(told: Told, number: int) -> None:
    """The share on a version by day, from the declared release on, or from the first day with k installs."""
    args = ASKED[number][1]
    (version,) = ((name, args[name]) for name in ("version", "version_series") if name in args)
    filters = {name: value for name, value in conditions(args).items() if name != version[0]}
    declared = RELEASED if version == ("version", "2.0.1") else None
    end, days = date.fromisoformat(args.get("to", "2028-04-04")), int(args.get("days", 90))
    for k in (1, K):
        answer = told.of(number, k)
        released, rows = counted.adoption(told.history(args), filters, version, end, days, declared, k)
        assert answer["released"] == (str(released) if released else None)
        assert answer["released_by"] == ("catalog" if declared else "reports" if released else None)
        counted.compare(answer["rows"], rows, k)
        assert not [row for row in answer["rows"] if row["installs"] and 0 < row["of"] - row["installs"] < k]
    check_coverage(told, number)


@pytest.mark.parametrize("number", asked("upgrades"))
def test_upgrades(told: Told, number: int) -> None:
    """Each step from one version to the next higher one; what few installs went is folded, each install once."""
    args = ASKED[number][1]
    by = args.get("by", "version")
    for k in (1, K):
        answer = told.of(number, k)
        paths = counted.upgrades(told.history(args), span_of(answer), conditions(args), by)
        shown = {(row["from"], row["to"]): row for row in answer["rows"]}
        other = shown.pop((reference.OTHER, reference.OTHER), None)
        assert {path: (len(days), counted.median(days)) for path, days in paths.items() if path in shown} == {
            path: (row["installs"], row["median_days"]) for path, row in shown.items()
        }
        assert all(row["installs"] >= k for row in answer["rows"])
        folded = paths.keys() - shown.keys()
        assert answer["suppressed"] == (len(folded) if other else 0)
        if k == 1:
            assert not folded
        if other:
            assert max(len(paths[path]) for path in folded) <= other["installs"] <= sum(len(paths[p]) for p in folded)
    check_coverage(told, number)


@pytest.mark.parametrize("number", asked("together"))
def test_together(told: Told, number: int) -> None:
    """Both of two features; with k, only where nobody or k installs use both, the one, the other, and neither."""
    args = ASKED[number][1]
    of, rows = counted.together(told.history(args), span_of(told.of(number, 1)), told.of(number, 1)["filters"])
    rows = [row for row in rows if args.get("feature") in (None, *row["features"])]
    assert told.of(number, 1)["rows"] == rows
    assert told.of(number, 1)["of"] == of
    hidden = told.of(number, K)
    for row in hidden["rows"]:
        (same,) = [one for one in rows if one["features"] == row["features"]]
        assert row["installs"] == same["installs"] >= K
        assert abs(row["expected"] - same["expected"]) <= 0.05 * same["expected"]
    assert hidden["suppressed"] == (len(rows) - len(hidden["rows"]) if hidden["of"] else 0)
    check_coverage(told, number)


@pytest.mark.parametrize("number", asked("drop"))
def test_drop(told: Told, number: int) -> None:
    """Whom it would hurt, of all and of those that still upgrade, by version, and what they use more."""
    args = ASKED[number][1]
    answer, few = told.of(number, 1), told.of(number, K)
    truth = counted.drop(told.history(args), span_of(answer), conditions(args))
    whole = counted.part(truth.hit, truth.answered)
    assert {name: answer[name] for name in whole} == whole
    counted.compare({name: few[name] for name in whole}, whole, K)
    for shown, k in ((answer, 1), (few, K)):
        counted.check_bounds(shown, truth, k)
    assert few["of"] or len(truth.answered) < K or not few["coverage"]["active"]
    assert answer["still_upgrading"] == counted.part(truth.hit, truth.upgrading)
    counted.compare(few["still_upgrading"], counted.part(truth.hit, truth.upgrading), K)
    rows = {version: counted.part(truth.hit, installs) for version, installs in truth.versions.items()}
    assert {row.pop("version"): row for row in answer["rows"]} == rows
    shown = {row.pop("version"): row for row in few["rows"]}
    assert few["installs"] or not few["features"]  # their shares would tell
    for row in [few, few["still_upgrading"], *shown.values()]:
        assert not (row["installs"] and 0 < row["of"] - row["installs"] < K)
    if shown:
        folded = rows.keys() - shown.keys()
        assert few["suppressed"] == len(folded)
        assert sum(row["of"] for row in shown.values()) == len(truth.answered)
    for version in shown.keys() & rows.keys():
        counted.compare(shown[version], rows[version], K)
    used = {}
    others = truth.answered - truth.hit
    for name, users in truth.users.items():
        one, other = counted.part(users, truth.hit), counted.part(users, others)
        if len(users & truth.hit) * len(others) > len(users & others) * len(truth.hit):
            used[name] = {"installs": one["installs"], "share": one["share"], "share_of_others": other["share"]}
    assert {row.pop("feature"): row for row in answer["features"]} == used
    for row in few["features"]:
        counted.compare(row, used[row.pop("feature")], K)
    check_coverage(told, number)


def test_what_is_asked_at_once_is_what_each_question_answers(told: Told) -> None:
    """A page asks for all modules or versions in one statement. Groups under k are hidden as in the answers."""
    each = told.answers[-1]["each"]
    assert [own for _, own in each] == [found for found, _ in each]
    assert {None} < {found for found, _ in each if not isinstance(found, (list, dict))}


def scaled(value: Any, divisor: int) -> Any:
    """The same with each number of installs as many times larger."""
    if isinstance(value, dict):
        return {
            name: each if name in ("day", "within", "share") else scaled(each, divisor) for name, each in value.items()
        }
    if isinstance(value, list):
        return [scaled(each, divisor) for each in value]
    return value * divisor if isinstance(value, int) else value


def test_a_sample_answers_for_all(told: Told) -> None:
    """Beyond the install-days that are counted exactly, a part of the installs is read, and counts are scaled up."""
    seen = set()
    for number in SAMPLED:
        name, args = ASKED[number]
        answer, history, divisor = told.sampled(number)
        seen.add(divisor)
        assert answer["exact"] is False
        filters, span = conditions(args), span_of(answer)
        features = name in ("together", "first_use")
        covered = counted.covered(history, span, filters, features=features)
        expected = {one: len(installs) * divisor for one, installs in covered.items()}
        if name == "lifecycle":
            rows = [
                counted.lifecycle(history, answer["grain"], bucket, filters, answer["count"])
                for bucket in buckets(answer)
            ]
        elif name == "retention":
            found = (
                counted.retention(history, answer["grain"], one, span[1], filters, None) for one in buckets(answer)
            )
            rows = [row for row in found if row]
        elif name == "first_use":
            rows = counted.first_use(history, span, filters, args["feature"], first_use.WITHIN)
        elif name == "adoption":
            version = "version", args["version"]
            _, rows = counted.adoption(history, {}, version, span[1], answer["days"], span[0], 1)
        elif name == "upgrades":
            paths = counted.upgrades(history, span, filters, answer["by"])
            rows = [{"from": one, "to": other, "installs": len(days)} for (one, other), days in paths.items()]
            rows.sort(key=lambda row: (-row["installs"], row["from"], row["to"]))
            assert all(row.pop("median_days") >= 0 for row in answer["rows"])
        elif name == "together":
            rows = counted.together(history, span, filters)[1]
            rows = [{**row, "installs": row["installs"]} for row in rows]
            assert [row.pop("expected") for row in answer["rows"]]
            assert [row.pop("expected") for row in rows]
        else:
            truth = counted.drop(history, span, filters)
            rows = [{"version": one, **counted.part(truth.hit, of)} for one, of in truth.versions.items()]
            rows.sort(key=lambda row: (-row["installs"], row["version"]))
            expected["answered"] = len(truth.answered) * divisor
        assert answer["rows"] == scaled(rows, divisor), name
        assert answer["coverage"] == expected
    assert max(seen) > 1
