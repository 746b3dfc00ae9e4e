"""Attacks with a product token on the read API, over a real ClickHouse in one process."""

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from collector.batch_insert import insert_batch
from core.credentials import Credentials, Role
from core.home import Home
from core.settings import Settings
from pharos.synthetic_fleet import beacons
from tests.collector.sample import changed
from tests.end_to_end.attacks import Ask, Budget, Values, both_planes, difference, history, polling, series, yes_or_no
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES, clickhouse_url, wait_for
from tests.fleet import reference, versions
from tests.processes import apart, imported_before
from tests.warehouse.test_engine import rows
from warehouse import migrate
from warehouse.engine import Engine
from warehouse.queries import disclosure, licensing

pytestmark = pytest.mark.parametrize("kind", ENGINES)
K = 5
BUDGET = 2000
DIMENSIONS = [name for name in reference.PATHS if name not in ("module", "license_source")]
MODULE = "invoice_pro"
imported_before("dashboard.app")


class Kept(Engine):
    """Runs each SELECT once until something is written: the questions of an attack share most of their statements."""

    def __init__(self, settings: Settings, home: Home) -> None:
        super().__init__(settings, home)
        self._kept: dict[str, list[tuple[Any, ...]]] = {}

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """The rows of a SELECT."""
        asked = repr((sql, parameters, settings))
        if asked not in self._kept:
            self._kept[asked] = super().query(sql, parameters, settings)
        return list(self._kept[asked])

    def command(self, sql: str, settings: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns no rows."""
        self._kept.clear()
        super().command(sql, settings)

    def insert(self, table: str, lines: Sequence[bytes], token: str) -> None:
        """Insert JSON lines as one batch."""
        self._kept.clear()
        super().insert(table, lines, token)


class Played:
    """A database with the read API in this process."""

    def __init__(self, url: str, folder: Path, **settings: Any) -> None:
        from dashboard import app

        self.home = Home(folder / "home")
        self.settings = Settings(home=self.home.path, clickhouse_url=url, k=K, **settings)
        self.engine = Kept(self.settings, self.home)
        migrate.migrate(self.engine)
        credentials = Credentials(self.home.credentials)
        self.client = app.create_app(self.settings, self.home, self.engine).test_client()
        self.tokens = {role: credentials.add_token(role) for role in Role}

    def asker(self, role: Role) -> Ask:
        """Return a function that queries the read API with a role."""

        def ask(metric: str, **arguments: str) -> Any:
            headers = {"Authorization": f"Bearer {self.tokens[role]}"}
            answer = self.client.get(f"/api/v1/metrics/{metric}", query_string=arguments, headers=headers)
            assert answer.status_code == 200, answer.text
            return answer.json

        return ask

    def load(self, sent: list[reference.Beacon], address: str = "198.51.100.7") -> None:
        """Insert beacons from an address into both planes."""
        spooled = rows(sent, address)
        insert_batch(self.engine, "usage", str(uuid.uuid4()), [row.usage for row in spooled])
        insert_batch(self.engine, "license", str(uuid.uuid4()), [row.license for row in spooled])

    def establish(self) -> None:
        """Let all installs have sent beacons on the day before, too."""
        self.engine.command(
            "INSERT INTO installs SELECT module, install, first_day, last_day, first_received - 1, last_received "
            "FROM installs"
        )


Attack = Callable[[Played], Any]


def played(kind: str, folder: Path, attack: Attack, **settings: Any) -> Any:
    """Return the result of `attack`, run in its own process: chDB must not be forked."""
    return apart(_play, 300, clickhouse_url(kind), folder, attack, settings)


def _play(url: str, folder: Path, attack: Attack, settings: dict[str, Any]) -> Any:
    played = Played(url, folder, **settings)
    try:
        return attack(played)
    finally:
        played.engine.close()


def yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


def fleet(end: date, installs: int = 60, days: int = 1) -> list[reference.Beacon]:
    """Return a fleet whose beacons have every field."""
    every = beacons(20261201, installs, days, end)
    return [one for one in every if all(reference.carried(one, name, "installs") for name in DIMENSIONS)]


def upgraded(sent: list[reference.Beacon], today: date) -> list[reference.Beacon]:
    """Return what half of the installs that reported before today report today, after an upgrade of all."""
    before = {one["install_id"]: one for one in sent if reference.sent_at(one).date() < today}
    now = {"sent_at": f"{today}T00:00:01Z", "platform.php": "8.4.1", "module.version": "9.0.0"}
    return [changed(one, {**now, "beacon_id": str(uuid.uuid4())}) for one in list(before.values())[::2]]


def values(sent: list[reference.Beacon]) -> Values:
    """Return the values of each dimension, dimensions with few values first."""
    found = {
        name: sorted({value for one in sent for value in reference.carried(one, name, "installs")})
        for name in DIMENSIONS
    }
    return dict(sorted(found.items(), key=lambda item: len(item[1])))


def truth(sent: list[reference.Beacon]) -> Counter[tuple[tuple[str, str], ...]]:
    """Return the complete rows of a module's installs, with the number of installs of each."""
    installs = {one["install_id"]: one for one in sent if one["module"]["name"] == MODULE}
    return Counter(
        tuple(sorted((name, *reference.carried(one, name, "installs")) for name in DIMENSIONS))  # type: ignore[misc]
        for one in installs.values()
    )


def play_yes_or_no(played: Played) -> tuple[int, int, int]:
    """Return the number of recovered rows, of true ones among them, and of questions."""
    sent = fleet(yesterday())
    played.load(sent)
    budget = Budget(played.asker(Role.PRODUCT), BUDGET)
    found = yes_or_no(budget, yesterday(), MODULE, values(sent))
    return len(found), len(found & set(truth(sent))), budget.asked


def test_a_null_is_no_answer_to_who_is_there(kind: str, tmp_path: Path) -> None:
    """With 2,000 questions of added filters no install's row is recovered."""
    recovered, true, asked = played(kind, tmp_path, play_yes_or_no)
    print(f"yes or no: {recovered} rows recovered, {true} of them true, {asked} questions")
    assert recovered == true == 0


RARE = {"5.6.40": "debian", "7.0.33": "ubuntu", "7.1.2": "debian"}


def play_conditions(played: Played) -> tuple[list[str], list[str]]:
    """Return which rare versions of PHP conditions tell of, and which with the system of their install."""
    # The second one is folded with the rare ones.
    common = [(php, system) for php in ("8.2.12",) * 20 + ("8.1.27",) * 6 for system in ("debian", "ubuntu")]
    sent = [
        beacon(sent_at=f"{yesterday()}T09:00:00Z", server={"os": {"name": system}}, platform={"php": php})
        for php, system in [*common, *RARE.items()]
    ]
    played.load(sent)
    ask = played.asker(Role.PRODUCT)

    def told(php: str, **filters: str) -> bool:
        span = {"from": str(yesterday()), "to": str(yesterday()), "grain": "period"}
        answer = ask("installs", **span, **filters, **{"php.in": f"8.2.12,{php}"})
        return answer["rows"][0]["value"] is not None

    assert told("5.6.39")
    assert all(told("5.6.39", os=system) for system in ("debian", "ubuntu"))
    there = [php for php in RARE if not told(php)]
    placed = [php for php in RARE if [told(php, os=system) for system in ("debian", "ubuntu")].count(False) == 1]
    return there, placed


def test_a_condition_tells_nothing_more_of_the_install_of_a_rare_value(kind: str, tmp_path: Path) -> None:
    """That the value exists can be found out, as documented; with other filters nothing else of its install."""
    there, placed = played(kind, tmp_path, play_conditions)
    assert there == list(RARE)
    assert placed == []


def play_difference(played: Played) -> tuple[int, int, int, int]:
    sent = fleet(yesterday())
    played.load(sent)
    budget = Budget(played.asker(Role.PRODUCT), BUDGET)
    found = difference(budget, yesterday(), yesterday(), MODULE, values(sent))
    true = [row for row in found if any(set(row) <= set(one) for one in truth(sent))]
    return len(found), len(true), sum(len(row) == len(DIMENSIONS) for row in true), budget.asked


def play_polling(played: Played) -> tuple[int, int, int]:
    """Poll during 30 beacons; return how many of their values, and how many beacons, were revealed."""
    today = datetime.now(UTC).date()
    sent = fleet(today, 120)
    late = sent[-30:]
    played.load(sent[:-30])
    seen = polling(
        played.asker(Role.PRODUCT), today, lambda number: played.load(late[number : number + 1]), len(late), DIMENSIONS
    )
    right = [
        sum(value in reference.carried(one, name, "installs") for name, value in row.items())
        for row, one in zip(seen, late, strict=True)
    ]
    return sum(right), len(late) * len(DIMENSIONS), sum(number >= 3 for number in right)


QUESTIONS: list[tuple[reference.Metric, reference.Grain, str | None, dict[str, str], reference.Count]] = [
    ("installs", "day", None, {}, "reported"),
    ("installs", "period", None, {"module": MODULE}, "reported"),
    ("installs", "week", "php", {}, "reported"),
    ("installs", "period", "version", {"os": "debian"}, "reported"),
    ("installs", "period", "license_source", {}, "reported"),
    ("feature_installs", "day", "feature", {}, "reported"),
    ("feature_installs", "period", "php", {"module": MODULE}, "reported"),
    ("feature_uses", "day", "feature", {}, "reported"),
    ("feature_uses", "period", None, {}, "reported"),
    ("installs", "period", "php_series", {"php_series.ge": "8.1"}, "reported"),
    ("installs", "period", "version", {"module": MODULE}, "latest"),
    ("installs", "week", "php_series", {}, "latest"),
    ("installs", "day", "license_status", {}, "latest"),
]


def play_steps(played: Played) -> list[Any]:
    """Return the wrong values that each role gets for ranges that include today."""
    today = datetime.now(UTC).date()
    sent = fleet(today, 150, 3)
    sent += upgraded(sent, today)
    played.load(sent)
    wrong: list[Any] = []
    # Of few weeks and of many, which are counted by other statements.
    spans = [(today - timedelta(days=days), *question) for days in (2, 50) for question in QUESTIONS]
    for start, metric, grain, by, filters, count in spans:
        span = {"from": str(start), "to": str(today), "grain": grain, "by": by or "none", "count": count}
        for role in Role:
            open_from = None if role is Role.ADMIN else today
            told = played.asker(role)(metric, **span, **filters)
            dated = reference.dated(sent)
            asked = dated, metric, start, today, grain, by, filters, K, open_from, count
            true = reference.metric(*asked, hide_open=role is Role.LICENSING)
            if (told["rows"], told["open_from"]) != (true, open_from and str(open_from)):
                wrong.append((role, metric, span, filters, told["rows"], true))
    return wrong


def test_a_day_that_is_not_over_is_told_in_steps(kind: str, tmp_path: Path) -> None:
    """Every figure that holds today is the reference's: exact for the admin, in steps of k for product.

    For licensing such figures are only those of the license plane.
    """
    assert played(kind, tmp_path, play_steps) == []


def play_one_by_one(played: Played) -> tuple[list[Any], ...]:
    """Return each role's values after each of a dozen beacons, and the times of the license rows."""
    today = str(datetime.now(UTC).date())
    seen: dict[Role, list[Any]] = {role: [] for role in Role}
    for _ in range(12):
        played.load([beacon()])
        for role, figures in seen.items():
            told = played.asker(role)("installs", **{"from": today, "to": today}, by="php")
            figures.append(told["rows"][0]["value"])
    headers = {"Authorization": f"Bearer {played.tokens[Role.ADMIN]}"}
    answer: Any = played.client.get("/api/v1/licensing/installs", headers=headers).json
    rows = answer["rows"]
    return *seen.values(), sorted({row["last_seen"] for row in rows} | {row["first_seen"] for row in rows})


def test_who_looks_after_each_beacon_sees_none_come(kind: str, tmp_path: Path) -> None:
    """For product a figure moves by k, for licensing not at all; a licensing row says to every role on which day."""
    product, licensing, admin, times = played(kind, tmp_path, play_one_by_one)
    assert product == [None] * 4 + [5] * 5 + [10] * 3
    assert licensing == [None] * 12
    assert admin == [None] * 4 + list(range(5, 13))
    assert times == [str(datetime.now(UTC).date())]


def play_both_planes(played: Played, live: bool = False) -> dict[str, tuple[int, int]]:
    """How many of 12 beacons are tied to their address, and how many of their values: by time, and by changed rows.

    With `live`, figures and times are told exactly: at once, and to the second, which is what is stored. Then each
    beacon has a second of its own.
    """
    if live:
        disclosure.open_from = lambda *_: None
        vars(licensing)["day"] = lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}"

    def next_second() -> None:
        began = int(time.time())
        if live:
            wait_for(lambda: time.time() >= began + 1, "the next second")

    today = datetime.now(UTC).date()
    sent = fleet(today, 120)
    late = {f"198.51.100.{number}": one for number, one in enumerate(sent[-12:], 1)}
    played.load(sent[:-12])
    headers = {"Authorization": f"Bearer {played.tokens[Role.LICENSING]}"}

    def send(number: int) -> None:
        address, one = list(late.items())[number]
        next_second()
        played.load([one | {"sent_at": datetime.now(UTC).isoformat()}], address)
        next_second()

    def seen_rows() -> list[dict[str, Any]]:
        answer: Any = played.client.get("/api/v1/licensing/installs?limit=1000", headers=headers).json
        return list(answer["rows"])

    seen = both_planes(played.asker(Role.LICENSING), seen_rows, today, send, len(late), DIMENSIONS)
    outcome = {}
    for way in ("timed", "changed"):
        right = []
        for one, (address, true) in zip(seen, late.items(), strict=True):
            known = [value for name, value in one.said.items() if value in reference.carried(true, name, "installs")]
            right.append(len(known) if getattr(one, way) == {address} else 0)
        outcome[way] = sum(number > 0 for number in right), sum(right)
    return outcome


def test_a_licensing_token_does_not_join_the_planes(kind: str, tmp_path: Path) -> None:
    """Neither by the times of its rows nor by the rows that change while it looks at the figures."""
    live = played(kind, tmp_path / "live", partial(play_both_planes, live=True))
    now = played(kind, tmp_path / "now", play_both_planes)
    print(f"beacons of 12 tied to an address, and values of {12 * len(DIMENSIONS)}: {live} before, {now} now")
    assert live["timed"][0] > 6
    assert now == {"timed": (0, 0), "changed": (0, 0)}


def play_history(played: Played) -> tuple[int, int]:
    """Return how many small joins two weeks of periods reveal, and how many responses have values."""
    sent = fleet(yesterday(), 150, 14)
    played.load(sent)
    played.establish()
    ask = played.asker(Role.PRODUCT)
    start = yesterday() - timedelta(days=13)
    found = history(ask, start, yesterday(), sorted({one["module"]["name"] for one in sent}))
    told = ask("installs", **{"from": str(start), "to": str(yesterday())}, by="none")["rows"]
    return found, sum(row["value"] is not None for row in told)


def test_strict_tells_no_small_difference_of_two_periods(kind: str, tmp_path: Path) -> None:
    """Exact figures reveal who joined on a day, as documented. Mode `strict` reveals none."""
    assert played(kind, tmp_path / "standard", play_history)[0] > 0
    found, told = played(kind, tmp_path / "strict", play_history, disclosure="strict")
    assert found == 0
    assert told > 3


def play_difference_small(played: Played) -> int:
    sent = fleet(yesterday())
    played.load(sent)
    budget = Budget(played.asker(Role.PRODUCT), 300)
    return len(difference(budget, yesterday(), yesterday(), MODULE, values(sent)))


def test_strict_tells_no_install_by_one_filter_more(kind: str, tmp_path: Path) -> None:
    """In mode `strict` a count with one more filter never differs by a single install."""
    assert played(kind, tmp_path, play_difference_small, disclosure="strict") == 0


def play_series(played: Played) -> tuple[int, int]:
    """How many groups of fewer than k installs the series less their versions tell, and how many figures are told."""
    sent = fleet(yesterday(), 300)
    played.load(sent)
    played.establish()
    ask = played.asker(Role.PRODUCT)
    pairs = {fine: coarse for coarse, fine in versions.SERIES.items() if coarse != "os_release"}
    filters = [{}, *({"module": name} for name in sorted({one["module"]["name"] for one in sent}))]
    found = sum(series(ask, yesterday(), pairs, given, count) for given in filters for count in ("reported", "latest"))
    span = {"from": str(yesterday()), "to": str(yesterday())}
    told = [row for by in pairs for row in ask("installs", **span, by=by)["rows"] if row["value"] is not None]
    return found, len(told)


def play_padding(played: Played) -> tuple[Any, Any]:
    """Return how many installs a small group has before and after invented installs joined it today."""
    sent = fleet(yesterday(), 120)
    real = [one | {"platform": one["platform"] | {"php": "7.0.33"}} for one in sent[: K - 2]]
    played.load([*sent[K - 2 :], *real])
    played.establish()
    ask = played.asker(Role.PRODUCT)
    span = {"from": str(yesterday()), "to": str(yesterday())}

    def counted() -> Any:
        return ask("installs", **span, php="7.0.33")["rows"][0]["value"]

    before = counted()
    played.load(
        [one | {"install_id": str(uuid.uuid4()), "beacon_id": str(uuid.uuid4())} for _ in range(6) for one in real]
    )
    return before, counted()


def test_strict_counts_no_install_of_a_single_day(kind: str, tmp_path: Path) -> None:
    """Invented installs turn a group under k into a figure. In mode `strict` they need a second day."""
    assert played(kind, tmp_path / "standard", play_padding) == (None, 7 * (K - 2))
    assert played(kind, tmp_path / "strict", play_padding, disclosure="strict") == (None, None)


def test_strict_tells_no_small_rest_of_a_series(kind: str, tmp_path: Path) -> None:
    """A series less its versions is never a few installs; with exact figures it is, as the docs say."""
    standard = played(kind, tmp_path / "standard", play_series)
    strict = played(kind, tmp_path / "strict", play_series, disclosure="strict")
    print(f"series: small rests and figures told {standard}, in mode strict {strict}")
    assert standard[0] > 0
    assert strict[0] == 0
    assert strict[1] > 3
