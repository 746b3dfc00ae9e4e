"""Every access to the license plane is recorded before the data is returned."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access_log import AccessLog, AccessLogEntry
from core.credentials import Credentials, Role
from core.home import Home, derive
from core.settings import Settings
from tests.dashboard.conftest import call, fill, output_of
from warehouse.queries import cursors, licensing

Visit = Callable[[str | None], FlaskClient]
ROW: dict[str, Any] = dict.fromkeys(("id", "module", "version", "status", "source", "key", "ip", "country"), "") | {
    "id": "00000000deadbeef", "ip": "203.0.113.77", "first_seen": "2026-11-23",
    "last_seen": "2026-11-23", "flags": [], "review": None,
}  # fmt: skip


@pytest.fixture(autouse=True)
def three_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    def installs(engine: Any, args: Mapping[str, str], *, seconds: bool = False) -> dict[str, Any]:
        licensing._Asked.of(args)
        return {"rows": [ROW] * 3}

    monkeypatch.setattr(licensing, "installs", installs)


@pytest.fixture
def log(home: Home) -> AccessLog:
    return AccessLog(home.access_log, derive(home.root_secret(Settings()), "access log"))


def open_page(client: FlaskClient, search: str = "") -> Any:
    return fill(client, "licensing-rows", search)


def take_csv(client: FlaskClient, rows: int, search: str = "") -> Any:
    return fill(client, "licensing-csv", search, licensing_exported={"press": 1, "rows": rows})


def read(app: Flask, token: str, path: str) -> Any:
    return app.test_client().get(f"/api/v1/licensing/{path}", headers={"Authorization": f"Bearer {token}"})


def told(look: AccessLogEntry) -> tuple[Any, ...]:
    return look.who, look.role, look.what, look.question, look.rows


def test_the_page_is_a_look(visit: Visit, log: AccessLog) -> None:
    """Opening the page records user, role, filters and number of rows, but no row."""
    answer = open_page(visit("licensing"), "?module=invoice_pro&status=expired&utm_source=mail")
    assert answer["licensing-grid"]["rowData"][0]["ip"] == "203.0.113.77"
    (look,) = log.entries(10)
    assert told(look) == ("licensing", "licensing", "page", {"module": "invoice_pro", "status": "expired"}, 3)
    assert "203.0.113.77" not in str(look)


def test_an_admin_s_look_is_one_too(visit: Visit, log: AccessLog) -> None:
    """An admin's access is recorded too."""
    open_page(visit("admin"))
    assert [told(look)[:3] for look in log.entries(10)] == [("admin", "admin", "page")]


def test_the_csv_file_is_a_look_of_its_own(visit: Visit, log: AccessLog) -> None:
    """The CSV file is made only after its access is recorded."""
    answer = take_csv(visit("licensing"), 2, "?status=trial")
    assert answer["licensing-grid"]["exportDataAsCsv"] is True
    assert [told(look) for look in log.entries(10)] == [("licensing", "licensing", "csv", {"status": "trial"}, 2)]


def test_the_read_api_is_a_look_of_its_token(app: Flask, credentials: Credentials, log: AccessLog) -> None:
    """The read API records the token's id and the filters, but no cursor, which contains a pseudonym."""
    token = credentials.add_token(Role.LICENSING)
    (known,) = credentials.tokens()
    cursor = cursors.cursor("installs", {"flag": "lapsed"}, ["invoice_pro", 42])
    assert read(app, token, f"installs?flag=lapsed&limit=7&cursor={cursor}").status_code == 200
    assert read(app, token, "flags").status_code == 200
    flags, installs = log.entries(10)
    assert told(installs) == (
        f"token {known.id}", "licensing", "api installs", {"flag": "lapsed", "limit": "7", "page": "later"}, 3,
    )  # fmt: skip
    assert told(flags) == (f"token {known.id}", "licensing", "api flags", {}, 0)
    assert cursor.encode() not in log._path.read_bytes()
    assert token.encode() not in log._path.read_bytes()


def test_no_look_without_a_record(app: Flask, visit: Visit, home: Home, credentials: Credentials) -> None:
    """If the log cannot be written, the API returns 503, the page a notice, and neither any row."""
    token = credentials.add_token(Role.LICENSING)
    home.access_log.mkdir()
    for path in ("installs", "flags"):
        answer = read(app, token, path)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "deadbeef" not in answer.text
        assert "access log" in answer.json["detail"]
    answer = open_page(visit("licensing"))
    assert "License data is not shown because the access log cannot be used" in str(answer)
    assert "deadbeef" not in str(answer)
    answer = take_csv(visit("licensing"), 2)
    assert "the access log cannot be used" in str(answer)
    assert "licensing-grid" not in answer


def test_what_is_refused_is_no_look(app: Flask, visit: Visit, credentials: Credentials, log: AccessLog) -> None:
    """A refused request is not recorded."""
    product, admin = credentials.add_token(Role.PRODUCT), credentials.add_token(Role.ADMIN)
    assert read(app, product, "installs").status_code == 403
    assert read(app, admin, "installs?status=guilty").status_code == 422
    callback = output_of(visit("admin"), "licensing-rows")
    assert call(visit("product"), callback, {"url.search": ""}).status_code == 403
    open_page(visit("licensing"), "?status=guilty")
    assert log.entries(10) == []


def test_metrics_are_no_look(app: Flask, credentials: Credentials, log: AccessLog) -> None:
    """Metrics are not recorded: every role may see figures of k installs and more."""
    secret = credentials.add_token(Role.PRODUCT)
    for by in ("version", "license_source"):
        answer = app.test_client().get(
            f"/api/v1/metrics/installs?by={by}", headers={"Authorization": f"Bearer {secret}"}
        )
        assert answer.status_code == 200
    assert log.entries(10) == []


def test_admin_reads_the_log_and_that_is_no_look(visit: Visit, log: AccessLog) -> None:
    """Reading the access log is not recorded. It lists entries newest first and contains no license data."""
    open_page(visit("licensing"), "?status=trial")
    client = visit("admin")
    rows = fill(client, "access_log-rows")["access_log-grid"]["rowData"]
    assert [(row["who"], row["what"], row["question"], row["rows"]) for row in rows] == [
        ("licensing", "Page", "status trial", 3)
    ]
    assert len(log.entries(10)) == 1


def test_nothing_else_in_the_dashboard_asks_the_license_plane() -> None:
    """Only the code that records accesses calls the queries for license rows."""
    sources = {path: path.read_text(encoding="utf-8") for path in Path("dashboard").rglob("*.py")}
    asking = {path.name for path, text in sources.items() if re.search(r"licensing\.(installs|flags)\(", text)}
    assert asking == {"audited_licensing.py"}
    assert not any(re.search(r"engine\.(query|query_each|command)\(", text) for text in sources.values())
