"""Every number of the product pages: what a card shows, its file, its calls of the read API, and a count of our own.

`make fleet` does the same with 5,000 installs over 400 days.
"""

import csv
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from io import StringIO
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.display_names import DIMENSIONS
from dashboard.formatting import count, decimal, plural, share, shares
from dashboard.tables import points
from pharos.synthetic_fleet import beacons
from pharos.synthetic_vendor import VENDOR, catalog
from tests.collector.mmdb import mmdb
from tests.end_to_end.screens import show
from tests.end_to_end.system import PASSWORD, System, running
from tests.end_to_end.test_browser import browser, logged_in
from tests.fleet import questions
from tests.fleet.answers import Oracle
from tests.fleet.cards import SUBSETS, Card, crossed, expected, in_file, part, total

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
    "/?php_series=8.2": ["installs_per_bucket"],
    "/?php_series=8.2&range=90d": ["installs_per_bucket", "installs_by_version", "installs_by_virtualization"],
    f"/feature?module={MODULE}&name={FEATURE}&php_series=8.2": ["adoption_per_bucket", "feature-version"],
    f"/feature?module={MODULE}&name={FEATURE}": [
        "adoption_per_bucket", "feature-version", "feature-php_series", "feature-whmcs_series", "feature-together",
        "feature-first_use", "feature-retention",
    ],
    f"/versions?module={MODULE}": [
        "share_by_version", "adoption_since_release", "versions-in-use", "versions-upgrades", "versions-php",
    ],
    # In a small fleet the newest release of the first module is on too few installs.
    "/versions?module=bulk_mailer": ["release_watch", "adoption_since_release", "versions-in-use"],
    f"/versions?module={MODULE}&php_series=8.2": ["share_by_version", "adoption_since_release", "versions-in-use"],
    "/platforms": [
        "platforms-php_series", "platforms-whmcs_series", "platforms-database_series", "platforms-country",
        "platforms-crossed",
    ],
    "/platforms?country=DE&range=7d": ["platforms-country", "platforms-os_release"],
    "/platforms?rows=os_release&columns=database_series&range=90d": ["platforms-os_release", "platforms-crossed"],
    f"/drop?module={MODULE}&php_series.lt=8.1": ["share_to_drop", "drop-modules", "drop-versions", "drop-ends"],
    f"/drop?module={MODULE}&version.le=3.2.1": ["drop-ends"],  # in a small fleet its versions are folded
    "/drop?php_series.lt=8.1&country=DE": ["share_to_drop"],
    "/drop?php_series.lt=8.1": ["share_to_drop", "drop-modules", "drop-ends"],
    "/data": ["data-days", "data-reported"],
}  # fmt: skip
# Where the addresses of the fleet are. Half of one network is nowhere; Liechtenstein may have too few installs.
COUNTRIES = {
    "192.0.2.0/24": "DE", "198.51.100.0/24": "NL", "203.0.113.0/25": "FR", "2001:db8::/33": "US",
    "2001:db8:8000::/34": "IN", "2001:db8:c000::/40": "LI",
}  # fmt: skip
MOVED = re.compile(
    r"(?P<what>.+) (?P<moved>rose|fell) (from (?P<before>\S+) )?to (?P<now>\S+) "
    r"of (?P<of>the installs|\S+ installs( that matched the filters)?)(, above all on \S+|, from too few to show)?\."
)
# Cards that name no call: what the collectors rejected is in no figure.
WITHOUT_CALLS = ("data-rejected",)


@pytest.fixture(scope="module")
def sent() -> list[dict[str, Any]]:
    """The beacons of a fleet, and those that another one sent a year before."""
    now = beacons(5, int(INSTALLS), int(DAYS), TODAY - timedelta(days=1), RATE, world=VENDOR)
    return [*beacons(6, 60, 35, TODAY - timedelta(days=363), RATE, world=VENDOR), *now]


@pytest.fixture(scope="module")
def oracle(sent: list[dict[str, Any]]) -> Oracle:
    return Oracle(map(_placed, sent), K)


def _placed(beacon: dict[str, Any]) -> dict[str, Any]:
    """A beacon with the country of its address."""
    server = beacon.get("server", {})
    country = _country(server["public_ip"]) if "public_ip" in server else ""
    return beacon | {"server": server | {"country": country}} if country else beacon


@cache
def _country(address: str) -> str:
    return next((code for network, code in COUNTRIES.items() if ip_address(address) in ip_network(network)), "")


@pytest.fixture(scope="module")
def system(sent: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The fleet of the demonstration on the embedded engine, with a database of countries."""
    folder = tmp_path_factory.mktemp("cards")
    countries = folder / "countries.mmdb"
    countries.write_bytes(mmdb({network: {"country": {"iso_code": code}} for network, code in COUNTRIES.items()}))
    settings = {"PHAROS_K": str(K), "PHAROS_COUNTRY_DATABASE": str(countries)}
    with running(folder / "home", "embedded", **settings) as system:
        (system.home / "catalog.toml").write_text(catalog(TODAY))
        system.load(sent)
        yield system


@pytest.fixture(scope="module")
def page(system: System, browser: Browser) -> Iterator[Page]:
    page = logged_in(browser, system, "admin", PASSWORD, "/glossary")
    yield page
    page.context.close()


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_card_its_file_and_its_calls_are_what_was_counted(
    page: Page, system: System, oracle: Oracle, address: str
) -> None:
    """The numbers of a card are those of its file; the file is made of the answers to its calls; these are true.

    So are the figures and sentences of a page.
    """
    show(page, system.dashboard + address)
    for name in ADDRESSES[address]:  # a slow browser is idle for a moment before it asks for the rest
        expect(page.locator(f"#{name}-content")).to_be_visible()
    for check in FIGURES.get(address, ()):
        check(page, oracle)
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
    plain = [
        [["" if cell in ("–", "not told") else cell.replace("\u202f", "") for cell in row] for row in part]
        for part in (texts[1:], rows)
    ]
    assert plain[0] == plain[1], name
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
        if name == "platforms-country":  # its file has code and name apart
            header, rows = header[1:], [[f"{of} ({code})" if of else code, *rest] for code, of, *rest in rows]
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
        # Links that name nothing are last, and not in the file.
        for text, cell, column in zip(texts[: len(cells)], cells, header, strict=True):
            wanted = {cell, cell.replace("'", "")}
            number = _number(cell)
            if isinstance(number, float):
                wanted.add(count(round(number)))
                for least in (number - 0.00005, number, number + 0.00005):  # files have one more digit of a share
                    wanted |= {share(least), points(least)}
            if not cell:
                wanted |= {"not told", "–", ""}
            assert text in wanted, (column, text, cell)


def _check_rows(card: Card, rows: list[list[str]], oracle: Oracle) -> None:
    found = [[_number(cell) for cell in row] for row in rows]
    if card.name in ("platforms-crossed", "versions-php"):
        cells = crossed(card, K)
        for (first, *_), (_, *shares) in zip(rows, found, strict=True):
            label = first.removeprefix("'")
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
    args = [{name: value for name, value in card.args(number).items() if name != "by"} for number in range(4)]
    for what, of, *told in rows:
        now, before = (
            _share_of(oracle, used, of_installs, what, of) for used, of_installs in zip(args[:2], args[2:], strict=True)
        )
        assert now is not None
        assert told[:2] == [None if before is None else in_file(before), in_file(now)], what
        assert told[2] is None if before is None else abs(told[2] - (now - before)) < 0.0002


def _moves(name: str) -> bool:
    return name in ("php_series", "whmcs_series", "database_series", "web_server_series", "os_release")


def _check_ends(card: Card, rows: list[list[Any]]) -> None:
    """The share of each series."""
    shares = set()
    for number in range(len(card.calls)):
        known = [(row["key"], row["value"]) for row in card.known(number) if row["key"]]
        shares |= {(key, in_file(value / sum(one for _, one in known))) for key, value in known}
    assert {(str(row[0]).rpartition(" ")[2], row[2]) for row in rows} <= shares
    assert rows


def _check_home(page: Page, oracle: Oracle) -> None:
    """Installs, their change, modules, and who has a license; who was new and lost in the last week."""
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


def _check_last_week(page: Page, oracle: Oracle) -> None:
    """New, returning, resurrected and lost installs of the last whole week, in the cards and in a sentence."""
    monday = TODAY - timedelta(days=TODAY.weekday() + 7)
    week, before = (
        questions.lifecycle(questions.History(oracle.sent, k=K), "week", bucket, {})
        for bucket in (monday, monday - timedelta(weeks=1))
    )
    for name in ("new", "returning", "resurrected", "lost"):
        told = page.locator(f"#week-{name}-value")
        expect(told).to_have_text(count(week[name]) if week[name] >= K else "–")
        if week[name] >= K and before[name] >= K:
            expect(page.locator(f"#week-{name}-hint")).to_contain_text(f"; {count(before[name])} the week before")
    new, lost = week["new"], week["lost"]
    if min(new, lost) >= K:
        sentence = f"In the last whole week {plural(new, 'install')} were new and {count(lost)} were lost."
        expect(page.locator("#changed-said li").nth(1)).to_have_text(sentence)


def _check_sentences(page: Page, oracle: Oracle) -> None:
    """How many installs were active, and the shares in each sentence on a feature, a version and a platform."""
    sentences = page.locator("#changed-said li")
    expect(sentences.first).to_contain_text("active")
    now, then = _spans()
    active, before = total(oracle, now), total(oracle, then)
    assert active
    assert before
    more = "more" if active > before else "fewer"
    text = f"{count(active)} installs were active, {abs(active / before - 1):.1%} {more} than in the 28 days before"
    expect(sentences.first).to_have_text(f"{text} ({count(before)}).")
    moved = [found for found in map(MOVED.fullmatch, sentences.all_inner_texts()) if found]
    assert moved
    for found in moved:
        shares = [
            _share_of(oracle, span, span | {"count": "latest"}, found["what"], found["of"]) for span in (then, now)
        ]
        assert shares[1] is not None, found[0]
        assert [found["before"], found["now"]] == [None if one is None else share(one) for one in shares], found[0]
        assert (found["moved"] == "rose") == (shares[1] > (shares[0] or 0)), found[0]


def _share_of(oracle: Oracle, used: dict[str, str], of_installs: dict[str, str], what: str, of: str) -> float | None:
    """A share of a sentence or of a mover: of a platform, a version or a feature.

    `used` and `of_installs` are the arguments of the questions about features and about installs.
    """
    if of.startswith("the installs"):
        title = next(title for title in DIMENSIONS.values() if what.startswith(f"{title} "))
        by = next(name for name, each in DIMENSIONS.items() if each == title and _moves(name))
        rows = oracle.rows("installs", {**of_installs, "by": by, "grain": "period", "count": "latest"})
        known = {row["key"]: row["value"] for row in rows if row["value"] is not None and row["key"]}
        return _part(_installs(rows, what.removeprefix(f"{title} ")), sum(known.values()))
    module = of.partition("'s installs")[0]
    version = what.startswith(f"{module} ")
    if version:
        rows = oracle.rows("installs", {**of_installs, "by": "module,version", "grain": "period"})
    else:
        rows = oracle.rows("feature_installs", {**used, "by": "module,feature", "grain": "period"})
    number = _installs(rows, [module, what.removeprefix(f"{module} ")])
    modules = oracle.rows("installs", {**(of_installs if version else used), "by": "module", "grain": "period"})
    return _part(number, next(row["value"] for row in modules if row["key"] == module))


def _installs(rows: list[Any], key: Any) -> int | None:
    """The installs of a key: 0 for one that no row has, None for one that may be among those that are folded."""
    found = {str(row.get("key") or row.get("keys")): row["value"] for row in rows}
    return found.get(str(key), None if any("(other)" in name for name in found) else 0)


def _part(number: int | None, of: int | None) -> float | None:
    return None if number is None or not of else min(number / of, 1)


def _spans() -> tuple[dict[str, str], dict[str, str]]:
    """The last 28 days that are over, and the 28 days before."""
    first, second = (
        {"from": str(TODAY - timedelta(days=back + 28)), "to": str(TODAY - timedelta(days=back + 1))}
        for back in (0, 28)
    )
    return first, second


def _facts(page: Page, name: str) -> dict[str, tuple[str, str]]:
    """The figure cards of a region: of each label the value and what it means."""
    cards = page.locator(f"#{name} .figure-card")
    expect(cards.first).to_be_visible()
    rows = cards.evaluate_all(
        "cards => cards.map(card => [...card.querySelectorAll('dt, span')].map(e => e.textContent))"
    )
    return {label: (value, hint) for label, value, hint in rows}


def _check_feature(page: Page, oracle: Oracle) -> None:
    """Share, change, uses, and uses per install."""
    facts = _facts(page, "feature-figures")
    now, then = _spans()
    given = {"module": MODULE, "feature": FEATURE, "grain": "period"}
    used, before = (oracle.rows("feature_installs", span | given)[0]["value"] for span in (now, then))
    uses = oracle.rows("feature_uses", now | given)[0]["value"]
    active, active_before = (total(oracle, span, module=MODULE) for span in (now, then))
    assert active
    assert active_before
    assert facts["Share of the module's installs"][0] == share(used / active)
    assert f"{count(used)} of {count(active)} installs" in facts["Share of the module's installs"][1]
    assert facts["Change"][0] == points(used / active - before / active_before)
    assert facts["Uses"][0] == count(uses)
    assert facts["Uses per install"][0] == decimal(uses / used)


def test_the_facts_of_a_drop_are_what_was_counted(page: Page, system: System, oracle: Oracle) -> None:
    """Also of a module in a country, where few are left. What else is on that page is counted on others."""
    page.goto(f"{system.dashboard}/drop?php_series.lt=8.1&module={MODULE}&country=DE")
    _check_drop(page, oracle, MODULE, "DE")


def _check_drop(page: Page, oracle: Oracle, module: str = "", country: str = "") -> None:
    """Installs hurt, of those that still upgrade, and how many answer; of a module, and of all installs."""
    facts = _facts(page, "drop-hurt-body")
    now, _ = _spans()
    span = date.fromisoformat(now["from"]), date.fromisoformat(now["to"])
    asked = {"php_series.lt": "8.1", **({"country": country} if country else {})}
    found = questions.drop(questions.History(oracle.sent, module or None), span, asked)
    hit, answered = len(found.hit), len(found.answered)
    expected, numbers = share(hit / answered), count(hit)
    if facts["Installs hurt"][0] != expected:  # some that meet the condition, or may meet it, are in `(other)`
        bounds = found.bounds(K)
        assert bounds["at_least"] < bounds["at_most"]
        assert bounds["at_least"] <= hit <= bounds["at_most"]
        expected = shares(*(bound / answered for bound in bounds.values()))
        numbers = " to ".join(map(count, bounds.values()))
    assert facts["Installs hurt"][0] == expected
    assert f"{numbers} of {count(answered)} installs" in facts["Installs hurt"][1]
    if module:
        upgrading = found.hit & found.upgrading
        told = facts["Hurt, of all that still upgrade"][0]
        if told == "–":  # it, or what is left of another figure beside it, has too few installs
            rest = found.upgrading - found.hit
            groups = upgrading, found.hit - upgrading, rest, found.answered - found.hit - rest
            assert any(len(group) < K for group in groups)
        else:
            assert told == share(len(upgrading) / len(found.upgrading))
    active = total(oracle, now, **({"module": module} if module else {}))
    assert active
    assert facts["Answered"][0] == count(answered)
    few = module and 0 < active - answered < K
    assert ("the others are too few to show" if few else f"of {count(active)} active installs") in facts["Answered"][1]


def _check_data(page: Page, oracle: Oracle) -> None:
    """Active installs, days with beacons and without, and the first beacon."""
    facts = _facts(page, "data-figures")
    now, _ = _spans()
    days = {day for day, _ in oracle.sent}
    within = {day for day in days if now["from"] <= str(day) <= now["to"]}
    assert facts["Active installs"][0] == count(total(oracle, now) or 0)
    assert facts["Days with beacons"][0] == count(len(within))
    assert facts["Gaps"][0] == count(28 - len(within))
    assert facts["First beacon"][0] == f"{min(days).day} {min(days):%b %Y}"


# What is beside the cards of an address.
FIGURES: dict[str, tuple[Callable[[Page, Oracle], None], ...]] = {
    "/": (_check_home, _check_last_week, _check_sentences),
    f"/feature?module={MODULE}&name={FEATURE}": (_check_feature,),
    f"/drop?module={MODULE}&php_series.lt=8.1": (partial(_check_drop, module=MODULE),),
    "/drop?php_series.lt=8.1&country=DE": (partial(_check_drop, country="DE"),),
    "/drop?php_series.lt=8.1": (_check_drop,),
    "/data": (_check_data,),
}
assert FIGURES.keys() <= ADDRESSES.keys()


def test_against_the_last_period_and_last_year(page: Page, system: System, oracle: Oracle) -> None:
    """Two clicks: the change beside the same days of the year before, and its line behind the chart's."""
    page.goto(system.dashboard)
    end = TODAY - timedelta(days=1)
    start = end - timedelta(days=27)
    active = total(oracle, {"from": str(start), "to": str(end)})
    then = end - timedelta(days=28)
    a_year_ago = _a_year_before(start)
    for option, words, first, last in (
        ("Previous period", "the 28 days before", then - timedelta(days=27), then),
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
        assert _number(row["Uses per install"]) == round(used[key] / users[0][key], 4)
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
