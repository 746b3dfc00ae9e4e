"""The page Installs follows cursors until it is full, and says what it cannot read."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access_log import AccessLog
from core.credentials import Credentials, Role
from core.home import Home, derive
from core.settings import Settings
from dashboard.audited_licensing import MOST_REQUESTS, MOST_ROWS
from dashboard.formatting import count
from tests.dashboard.conftest import EmptyEngine, fill
from tests.dashboard.test_audited_licensing import ROW
from warehouse.licensing.state_codec import Unreadable
from warehouse.queries import licensing

Visit = Callable[[str | None], FlaskClient]


class Installs:
    """As many installs as there is room for numbers, of which each request finds `found`; it has `pages` pages."""

    def __init__(self, found: int, pages: int) -> None:
        self.found, self.pages = found, pages
        self.asked: list[Mapping[str, str]] = []

    def __call__(self, engine: Any, args: Mapping[str, str], *, seconds: bool = False) -> dict[str, Any]:
        self.asked.append(args)
        page = int(args.get("cursor") or "0") + 1
        rows = min(self.found, int(args["limit"]))
        return {"rows": [ROW] * rows, **({"next_cursor": str(page)} if page < self.pages else {})}


def answered(monkeypatch: pytest.MonkeyPatch, found: int, pages: int) -> Installs:
    installs = Installs(found, pages)
    monkeypatch.setattr(licensing, "installs", installs)
    return installs


def note(answer: Any) -> str:
    return str(answer["licensing-note"]["children"])


def test_the_flags_of_a_row_lead_to_their_cases(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each to its own: one about a key has the case of the key."""
    cases = {"unlicensed": "invoice_pro.install.00000000deadbeef", "shared_key": "invoice_pro.key.0000000000000009"}
    flags = [{"rule": rule, "case": case, "evidence": "in words"} for rule, case in cases.items()]
    answer = {"rows": [{**ROW, "flags": flags}], "next_cursor": None}
    monkeypatch.setattr(licensing, "installs", lambda *args, **more: answer)
    (row,) = fill(visit("licensing"), "licensing-rows")["licensing-grid"]["rowData"]
    assert row["review"] == "Unlicensed, Shared key"
    assert row["cases"] == [f"/licensing/{case}" for case in cases.values()]


def test_the_installs_of_a_key(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address names its pseudonym. The page says so, and leads to all."""
    installs = answered(monkeypatch, found=2, pages=1)
    answer = fill(visit("licensing"), "licensing-rows", "?status=licensed&key=00000000deadbeef&after=")
    assert installs.asked[0]["key"] == "00000000deadbeef"
    assert "Only installs that have reported the key 00000000deadbeef" in note(answer)
    assert "'href': '/licensing/installs?status=licensed'" in note(answer)
    assert "Only installs" not in note(fill(visit("licensing"), "licensing-rows"))
    answered(monkeypatch, found=0, pages=1)
    monkeypatch.setattr(licensing, "any_install", lambda engine: True)
    empty = fill(visit("licensing"), "licensing-rows", "?key=00000000deadbeef")
    assert "No install that has reported the key 00000000deadbeef reports the selected" in str(empty)


def test_short_pages_are_joined_to_one(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until there are no others. Then nothing more is offered."""
    answered(monkeypatch, 3, 4)
    answer = fill(visit("licensing"), "licensing-rows")
    assert len(answer["licensing-grid"]["rowData"]) == 12
    assert "12 rows" in note(answer)
    assert "after" not in note(answer)


def test_a_page_ends_after_some_requests_and_offers_the_next(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    """The next part is an address of its own, with the same filters. The access log does not store the place."""
    installs = answered(monkeypatch, 3, 25)
    answer = fill(visit("licensing"), "licensing-rows", "?module=invoice_pro")
    assert len(installs.asked) == MOST_REQUESTS
    assert f"/licensing/installs?module=invoice_pro&after={MOST_REQUESTS}" in note(answer)
    assert "Back to the first" not in note(answer)
    answer = fill(visit("licensing"), "licensing-rows", f"?module=invoice_pro&after={MOST_REQUESTS}")
    assert installs.asked[MOST_REQUESTS]["cursor"] == str(MOST_REQUESTS)
    assert "/licensing/installs?module=invoice_pro'" in note(answer)
    log = AccessLog(home.access_log, derive(home.root_secret(Settings()), "access log"))
    later, first = (entry.question for entry in log.entries(2))
    assert first == {"status": "!licensed", "module": "invoice_pro"}
    assert later == {**first, "page": "later"}


def test_a_page_has_no_more_rows_than_its_file_may_have(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last request asks for what is missing, whatever the others found."""
    installs = answered(monkeypatch, 999, 25)
    answer = fill(visit("licensing"), "licensing-rows")
    assert len(answer["licensing-grid"]["rowData"]) == MOST_ROWS
    assert installs.asked[-1]["limit"] == "5"


def test_a_part_without_rows_offers_the_next(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "No install with this status" would be wrong as long as there are others."""
    answered(monkeypatch, 0, 25)
    answer = json.dumps(fill(visit("licensing"), "licensing-rows", "?status=expired"), ensure_ascii=False)
    assert f"None of the {count(20_000)} installs that were read" in answer
    assert f"/licensing/installs?status=expired&after={MOST_REQUESTS}" in answer
    answered(monkeypatch, 0, 1)
    assert "No beacons yet" in str(fill(visit("licensing"), "licensing-rows", "?status=expired"))


def test_without_the_key_of_the_reports_page_and_api_say_so(
    app: Flask, visit: Visit, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the setting that is missing. It is not said that ClickHouse is away."""

    def sealed(*args: Any, **more: Any) -> dict[str, Any]:
        raise Unreadable("PHAROS_STATES_KEY is missing")

    monkeypatch.setattr(licensing, "installs", sealed)
    text = str(fill(visit("licensing"), "licensing-rows"))
    assert "They are sealed, and PHAROS_STATES_KEY is missing." in text
    assert "ClickHouse" not in text
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.LICENSING)}"}
    answer: Any = app.test_client().get("/api/v1/licensing/installs", headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "PHAROS_STATES_KEY is missing" in answer.get_json(force=True)["detail"]


def test_no_beacon_yet_is_asked_of_all_installs(
    visit: Visit, engine: EmptyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no install matches, the page tells a filter without installs from a system without beacons."""
    answered(monkeypatch, 0, 1)
    query = engine.query
    monkeypatch.setattr(
        engine,
        "query",
        lambda sql, *more, **options: [("m", 1)] if "FROM license_states" in sql else query(sql, *more, **options),
    )
    said = str(fill(visit("licensing"), "licensing-rows"))
    assert "No install reports the selected license status. Flags are of installs with any status." in said
