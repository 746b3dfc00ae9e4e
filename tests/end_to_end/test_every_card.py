"""Every number of the product pages: what a card shows, its file, its calls of the read API, and a count of our own.

`make fleet` does the same with 5,000 installs over 400 days.
"""

import csv
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.display_names import DIMENSIONS
from dashboard.formatting import count, share
from pharos.synthetic_fleet import beacons
from pharos.synthetic_vendor import VENDOR, catalog
from tests.end_to_end.screens import show
from tests.end_to_end.system import PASSWORD, System, running
from tests.end_to_end.test_browser import browser, logged_in
from tests.fleet.answers import Oracle
from tests.fleet.cards import SUBSETS, Card, crossed, expected, part, total

__all__ = ["browser"]
INSTALLS, DAYS, RATE = (
    float(os.environ.get(f"FLEET_{name}", small)) for name, small in (("INSTALLS", 300), ("DAYS", 63), ("RATE", 0.4))
)
K = 3
TODAY = datetime.now(UTC).date()
MODULE, FEATURE = "invoice_pro", "invoice.pdf_export"
# The cards that an address must show; others may be there too.
ADDRESSES = {
    "/": ["installs_per_bucket", "movers", *(f"installs_by_{name}" for name in ("version", "os", "php_series"))],
    f"/?module={MODULE}&compare=year": ["installs_per_bucket", "installs_by_version", "installs_by_whmcs_series"],
    "/?php_series=8.2&range=90d": ["installs_per_bucket", "installs_by_version", "installs_by_virtualization"],
    f"/feature?module={MODULE}&name={FEATURE}": [
        "adoption_per_bucket", "feature-version", "feature-php_series", "feature-whmcs_series", "feature-together",
        "feature-first_use", "feature-retention",
    ],
    f"/versions?module={MODULE}": [
        "release_watch", "share_by_version", "adoption_since_release", "versions-in-use", "versions-upgrades",
        "versions-php",
    ],
    "/platforms": ["platforms-php_series", "platforms-whmcs_series", "platforms-database_series", "platforms-crossed"],
    "/platforms?rows=os_release&columns=database_series&range=90d": ["platforms-os_release", "platforms-crossed"],
    f"/drop?module={MODULE}&php_series.lt=8.1": ["share_to_drop", "drop-modules", "drop-versions", "drop-ends"],
    "/drop?php_series.lt=8.1": ["share_to_drop", "drop-modules", "drop-ends"],
    "/data": ["data-days", "data-reported"],
}  # fmt: skip
# Cards that name no call: what the collectors rejected is in no figure.
WITHOUT_CALLS = ("data-rejected",)


@pytest.fixture(scope="module")
def sent() -> list[dict[str, Any]]:
    """The beacons of a fleet, and those that another one sent a year before."""
    now = beacons(5, int(INSTALLS), int(DAYS), TODAY - timedelta(days=1), RATE, world=VENDOR)
    return [*beacons(6, 60, 35, TODAY - timedelta(days=363), RATE, world=VENDOR), *now]


@pytest.fixture(scope="module")
def oracle(sent: list[dict[str, Any]]) -> Oracle:
    return Oracle(sent, K)


@pytest.fixture(scope="module")
def system(sent: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The fleet of the demonstration on the embedded engine."""
    with running(tmp_path_factory.mktemp("cards") / "home", "embedded", PHAROS_K=str(K)) as system:
        (system.home / "catalog.toml").write_text(catalog(TODAY))
        system.load(sent)
        yield system


@pytest.fixture(scope="module")
def page(system: System, browser: Browser) -> Iterator[Page]:
    page = logged_in(browser, system, "admin", PASSWORD)
    yield page
    page.context.close()


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_card_its_file_and_its_calls_are_what_was_counted(
    page: Page, system: System, oracle: Oracle, address: str
) -> None:
    """The numbers of a card are those of its file; the file is made of the answers to its calls; these are true."""
    show(page, system.dashboard + address)
    seen = []
    for card in page.locator("section.card:visible:has([data-file=csv])").all():
        name = str(card.get_attribute("id")).removesuffix("-card")
        if card.locator(f"#{name}-content").is_visible():
            _check(card, name, system, oracle)
            seen.append(name)
    assert set(ADDRESSES[address]) <= set(seen)


def _check(card: Locator, name: str, system: System, oracle: Oracle) -> None:
    header, *rows = _file(card)
    card.locator("summary").click()
    table = card.locator(f"#{name}-table table tr")
    expect(table.first).to_be_visible()
    texts = table.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.textContent))")
    header = [column.removeprefix("'") for column in header]
    assert texts[0] == header
    shown = [["" if cell == "–" else cell.replace("\u2009", "") for cell in row] for row in texts[1:]]
    assert shown == [["" if cell == "–" else cell for cell in row] for row in rows], name
    answered = []
    for text in card.locator(".api-call code").all_inner_texts():
        call = text.removeprefix("GET ")
        address = urlsplit(call)
        status, answer = system.read(address.path, **{key: value for key, (value,) in parse_qs(address.query).items()})
        assert status == 200, answer
        oracle.check(call, answer)
        answered.append((call, answer))
    assert bool(answered) != (name in WITHOUT_CALLS), name
    card.locator("summary").click()
    drawn = card.locator(f"#{name}-body tbody tr")
    if drawn.count():
        shown = drawn.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))")
        _check_drawn(shown, rows, header)
    if answered:
        _check_rows(Card.of(name, header, answered), rows, oracle)


def _file(card: Locator) -> list[list[str]]:
    with card.page.expect_download() as download:
        card.locator("[data-file=csv]").click()
    return list(csv.reader(StringIO(download.value.path().read_text(encoding="utf-8-sig"))))


def _check_drawn(shown: list[list[str]], rows: list[list[str]], header: list[str]) -> None:
    """The texts of a drawn table are the numbers of the file."""
    for texts, cells in zip(shown, rows, strict=False):  # a file may have more rows, as that of the map
        for text, cell, column in zip(texts, cells, header, strict=True):
            wanted = {cell, cell.replace("'", "")}
            number = _number(cell)
            if isinstance(number, float):
                wanted.add(count(round(number)))
                for least in (number - 0.00005, number, number + 0.00005):  # files have one more digit of a share
                    points = f"{least * 100:+.1f}".removesuffix(".0").replace("-", "−")
                    wanted |= {share(least), "no change" if points in ("+0", "−0") else f"{points} points"}
            if not cell:
                wanted |= {"too few", "–", ""}
            assert text.replace("\u2009", " ") in {one.replace("\u2009", " ") for one in wanted}, (column, text, cell)


def _check_rows(card: Card, rows: list[list[str]], oracle: Oracle) -> None:
    found = [[_number(cell) for cell in row] for row in rows]
    if card.name in ("platforms-crossed", "versions-php"):
        cells = crossed(card)
        for first, *shares in found:
            label = str(first).replace("\u2009", ",")
            for column, told in zip(card.columns[1:], shares, strict=True):
                assert told == cells.get((label, str(column))), (card.name, label, column)
        assert found
        return
    if card.name == "movers":
        _check_movers(card, found, oracle)
        return
    if card.name == "drop-ends":
        _check_ends(card, found)
        return
    wanted = expected(card, oracle)
    assert wanted is not None, f"nothing says what {card.name} must show"
    width = len(wanted[0]) if wanted else 0
    cut = [row[:width] for row in found]
    if card.name in SUBSETS:
        assert {str(row) for row in _plain(cut)} <= {str(row) for row in _plain(wanted)}, card.name
        assert len(cut) == min(len(wanted), 15 if card.name == "versions-in-use" else 12)
        return
    blank = [[None if want[0] is None else row[0], *row[1:]] for row, want in zip(cut, wanted, strict=True)]
    assert _close(blank, wanted), (card.name, blank, wanted)


def _check_movers(card: Card, rows: list[list[Any]], oracle: Oracle) -> None:
    """The shares of both periods, each of its own installs."""
    args = [{name: value for name, value in card.args(number).items() if name != "by"} for number in (0, 1)]
    for what, of, *told in rows:
        shares = []
        for given in args:
            module = of.removesuffix("'s installs")
            if of == "the installs":
                title = next(title for title in DIMENSIONS.values() if what.startswith(f"{title} "))
                by = next(name for name, each in DIMENSIONS.items() if each == title and _moves(name))
                counted = oracle.rows("installs", {**given, "by": by, "grain": "period", "count": "latest"})
                known = {row["key"]: row["value"] for row in counted if row["value"] is not None and row["key"]}
                shares.append(part(known[what.removeprefix(f"{title} ")], sum(known.values())))
                continue
            version = what.startswith(f"{module} ")
            metric, by = ("installs", "module,version") if version else ("feature_installs", "module,feature")
            counted = oracle.rows(metric, {**given, "by": by, "grain": "period"})
            key = [module, what.removeprefix(f"{module} ")]
            number = next(row["value"] for row in counted if row["keys"] == key)
            modules = oracle.rows("installs", {**given, "by": "module", "grain": "period"})
            shares.append(part(number, next(row["value"] for row in modules if row["key"] == module)))
        now, before = shares
        assert told[:2] == [before, now], what
        assert now is not None
        assert before is not None
        assert abs(told[2] - (now - before)) < 0.0002


def _moves(name: str) -> bool:
    return name in ("php_series", "whmcs_series", "database_series", "web_server_series", "os_release")


def _check_ends(card: Card, rows: list[list[Any]]) -> None:
    """The share of each series."""
    shares = set()
    for number in range(len(card.calls)):
        known = [(row["key"], row["value"]) for row in card.known(number) if row["key"]]
        shares |= {(key, round(value / sum(one for _, one in known), 4)) for key, value in known}
    assert {(str(row[0]).rpartition(" ")[2], row[2]) for row in rows} <= shares
    assert rows


def test_the_figures_of_the_home_page_are_what_was_counted(page: Page, system: System, oracle: Oracle) -> None:
    """Installs, their change, modules, and who has a license; who was new and lost in the last week."""
    page.goto(system.dashboard)
    end = TODAY - timedelta(days=1)
    span = {"from": str(end - timedelta(days=27)), "to": str(end)}
    active = total(oracle, span)
    assert active
    expect(page.locator("#active_installs-value")).to_have_text(count(active))
    before = total(oracle, {"from": str(end - timedelta(days=55)), "to": str(end - timedelta(days=28))})
    assert before
    change = f"{active / before - 1:+.1%}".replace("-", "−")
    expect(page.locator("#installs_change-value")).to_have_text(change)
    expect(page.locator("#installs_change-hint")).to_contain_text(f"({count(before)})")
    modules = [row for row in oracle.rows("installs", {**span, "by": "module", "grain": "period"}) if row["value"]]
    expect(page.locator("#active_modules-value")).to_have_text(count(sum(row["key"] != "(other)" for row in modules)))
    by = {**span, "by": "license_status", "grain": "period", "count": "latest"}
    licensed = next(row["value"] for row in oracle.rows("installs", by) if row["key"] == "licensed")
    expect(page.locator("#licensed_installs-value")).to_have_text(share(licensed / active))


def test_against_the_last_period_and_last_year(page: Page, system: System, oracle: Oracle) -> None:
    """Two clicks: the change beside the same days of the year before, and its line behind the chart's."""
    page.goto(system.dashboard)
    end = TODAY - timedelta(days=1)
    start = end - timedelta(days=27)
    active = total(oracle, {"from": str(start), "to": str(end)})
    then = end - timedelta(days=28)
    a_year_ago = _a_year_before(start)
    for option, words, first, last in (
        ("Previous period", "the previous 28 days", then - timedelta(days=27), then),
        ("Same period last year", "the same days last year", a_year_ago, a_year_ago + timedelta(days=27)),
    ):
        page.get_by_role("combobox", name="Compare with").or_(page.get_by_label("Compare with")).first.click()
        page.get_by_role("option", name=option, exact=True).click()
        before = total(oracle, {"from": str(first), "to": str(last)})
        assert active
        assert before
        expect(page.locator("#installs_change-hint")).to_have_text(f"vs. {words} ({count(before)})")
        change = f"{active / before - 1:+.1%}".replace("-", "−")
        expect(page.locator("#installs_change-value")).to_have_text(change)
        expect(page.locator("#installs_per_bucket-note")).to_contain_text(f"Grey line: {option.lower()}.")
        header, *rows = _file(page.locator("#installs_per_bucket-card"))
        days = oracle.rows("installs", {"from": str(first), "to": str(last), "grain": "day"})
        place = header.index(option)
        told = [(row["bucket"], row["value"]) for row in days]
        assert [(row[place - 1], _number(row[place])) for row in rows] == told


def _a_year_before(day: date) -> date:
    """The same day of the year before; 28 February has two."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def test_every_feature_is_what_was_counted(page: Page, system: System, oracle: Oracle) -> None:
    """Share, change, installs and uses of each feature of each module, in the file of the page Features."""
    page.goto(f"{system.dashboard}/features")
    expect(page.locator("#features-grid .ag-row").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table as CSV").click()
    rows = list(csv.DictReader(StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    end = TODAY - timedelta(days=1)
    spans = [{"from": str(end - timedelta(days=back + 27)), "to": str(end - timedelta(days=back))} for back in (0, 28)]
    modules, users = (
        [
            {tuple(row.get("keys") or [row["key"]]): row["value"]
             for row in oracle.rows(metric, {**span, "by": by, "grain": "period"})}
            for span in spans
        ]
        for metric, by in (("installs", "module"), ("feature_installs", "module,feature"))
    )  # fmt: skip
    uses = oracle.rows("feature_uses", {**spans[0], "by": "module,feature", "grain": "period"})
    used = {tuple(row["keys"]): row["value"] for row in uses}
    shown = {(row["Module"], row["Feature"]): row for row in rows if row["Installs"] and row["Module"]}
    assert shown.keys() == {key for key, value in users[0].items() if value is not None and "(other)" not in key}
    for key, row in shown.items():
        now, before = (part(each[key], all_[key[:1]]) if key in each else None
                       for each, all_ in zip(users, modules, strict=True))  # fmt: skip
        assert _number(row["Share"]) == now, key
        assert int(row["Installs"]) == users[0][key]
        assert _number(row["Uses"]) == used[key]
        assert _number(row["Uses per install"]) == round(used[key] / users[0][key], 1)
        assert (row["Change"] == "") == (before is None)
        assert before is None or now is None or abs(float(row["Change"]) - (now - before)) < 0.0002


def _number(cell: str) -> Any:
    """A cell of a file: None where it is empty, a number where it is one."""
    if cell == "":
        return None
    try:
        return float(cell) if cell.count(".") <= 1 and not cell.count("-") > 1 else cell
    except ValueError:
        return cell.removeprefix("'")


def _plain(rows: list[list[Any]]) -> list[list[Any]]:
    return [[str(_number(str(row[0]))), *(None if one is None else float(one) for one in row[1:])] for row in rows]


def _close(one: list[list[Any]], other: list[list[Any]]) -> bool:
    """Whether rows are the same, but for half a unit of the last place of a share."""
    for row, wanted in zip(one, other, strict=True):
        for cell, want in zip(row, wanted, strict=True):
            if isinstance(want, float) and isinstance(cell, float):
                if abs(cell - want) > 0.00011:
                    return False
            elif cell != want and str(cell) != str(want) and str(cell) != str(_number(str(want))):
                return False
    return True
