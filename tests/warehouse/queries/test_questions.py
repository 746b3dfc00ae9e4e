"""Each question of the read API against a count of the tests' own, on a fleet of five months with a leap day."""

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.home import Home
from pharos import synthetic_fleet
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.fleet import questions as counted
from tests.fleet import reference
from tests.fleet.questions import History
from tests.warehouse.test_engine import done_in
from warehouse import migrate
from warehouse.engine import Engine
from warehouse.queries.questions import Terms, ask

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
ASKED: list[tuple[str, dict[str, str]]] = []
for filters in FILTERS:
    for grain in ("week", "month"):
        span = {"from": "2027-12-15", "grain": grain}
        ASKED.append(("lifecycle", {**filters, **span}))
        ASKED.append(("retention", {**filters, **span}))
        ASKED.append(("retention", {**filters, **span, "feature": "admin.widget"}))
ASKED += [
    ("lifecycle", {"from": "2027-11-01", "grain": "month"}),
    ("lifecycle", {"from": "2027-11-01"}),
    ("retention", {"from": "2027-11-01", "grain": "month"}),
    ("lifecycle", {"from": "2028-02-10", "to": "2028-03-02"}),
    ("lifecycle", {"module": "edges", "from": "2028-02-01", "grain": "month"}),
    ("lifecycle", {"module": "edges", "from": "2028-01-24"}),
    ("retention", {"module": "edges", "from": "2028-01-24"}),
    ("retention", {"module": "edges", "from": "2028-01-24", "feature": "edge"}),
    ("lifecycle", {"module": "no_such_module"}),
    ("lifecycle", {"php": "no-such-version"}),
]


def fleet() -> list[reference.Beacon]:
    """Installs that report about once in four days, in random order, with edge cases in a module of their own."""
    sent = [*synthetic_fleet.beacons(11, INSTALLS, DAYS, END, 0.25), *edges()]
    random.Random(11).shuffle(sent)
    return sent


def edges() -> Iterator[reference.Beacon]:
    """Upgrades within a day, returns, and days at the borders of weeks, months and February."""
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


def answers(engine: Engine, home: Home) -> list[dict[str, Any]]:
    """The answers to all that is asked, first with k = 1, then with k = 5."""
    migrate.migrate(engine)
    planes = Planes(b"root secret of the tests")
    splits = [planes.split(one, "198.51.100.7", datetime.now(UTC), keep_date=True) for one in fleet()]
    half = len(splits) // 2
    for part in (splits[:half], splits[half:]):  # what comes later is of earlier days, too
        insert_batch(engine, "usage", str(uuid.uuid4()), [encode(split.usage) for split in part])
    last_day = TODAY - timedelta(days=1)
    return [ask(engine, name, args, Terms(k), TODAY, last_day) for k in (1, K) for name, args in ASKED]


@dataclass
class Told:
    """The answers of an engine, and what was sent."""

    answers: list[dict[str, Any]]
    beacons: list[reference.Dated]
    histories: dict[str | None, History] = field(default_factory=dict)

    def of(self, number: int, k: int) -> dict[str, Any]:
        """The answer to a question."""
        return self.answers[number + (k > 1) * len(ASKED)]

    def history(self, args: Mapping[str, str]) -> History:
        """What was sent of the module that is asked for."""
        module = args.get("module")
        return self.histories.setdefault(module, self.histories.get(module) or History(self.beacons, module))


@pytest.fixture(scope="module", params=ENGINES)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(done_in(request.param, tmp_path_factory.mktemp("questions"), answers), reference.dated(fleet()))


def conditions(args: Mapping[str, str]) -> dict[str, str]:
    own = ("from", "to", "grain", "feature", "module", "days", "by")
    return {name: value for name, value in args.items() if name not in own}


def asked(name: str) -> list[Any]:
    return [pytest.param(n, id=str(args)) for n, (question, args) in enumerate(ASKED) if question == name]


def check(told: Told, number: int, rows: list[Any]) -> None:
    """The answer with k = 1 has exactly these rows; with k = 5 some figures are hidden."""
    args = ASKED[number][1]
    assert told.of(number, 1)["rows"] == rows
    counted.compare(told.of(number, K)["rows"], rows, K)
    for k in (1, K):
        answer = told.of(number, k)
        assert (answer["k"], answer["exact"], answer["metric"]) == (k, True, ASKED[number][0])
        span = date.fromisoformat(answer["from"]), date.fromisoformat(answer["to"])
        active, of_them = counted.answered(told.history(args), *span, conditions(args))
        counted.compare(answer["coverage"], {"active": active, "answered": of_them}, k)


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
    rows = []
    for bucket in buckets(answer):
        if args.get("module") == "no_such_module":
            rows.append(
                {"bucket": str(bucket), "active": 0, **dict.fromkeys(("new", "returning", "resurrected", "lost"))}
            )
        else:
            rows.append(counted.lifecycle(told.history(args), answer["grain"], bucket, conditions(args)))
    check(told, number, rows)


@pytest.mark.parametrize("number", asked("retention"))
def test_retention(told: Told, number: int) -> None:
    """How many of the installs that began in a bucket were active in each one after it."""
    args, answer = ASKED[number][1], told.of(number, 1)
    rows = []
    for bucket in buckets(answer):
        last = date.fromisoformat(answer["to"])
        row = counted.retention(
            told.history(args), answer["grain"], bucket, last, conditions(args), args.get("feature")
        )
        rows += [row] if row else []
    check(told, number, rows)


def test_whole_buckets_are_counted(told: Told) -> None:
    """`from` goes back to the first day of its week, `to` to the last day of the last week that is over by then."""
    number = ASKED.index(("lifecycle", {"from": "2028-02-10", "to": "2028-03-02"}))
    answer = told.of(number, 1)
    assert (answer["from"], answer["to"]) == ("2028-02-07", "2028-02-27")
    assert len(answer["rows"]) == 3
