"""The answers of the read API over a real ClickHouse, against its OpenAPI document and the rules of disclosure."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from collector.batch_insert import insert_batch
from collector.planes import Planes, encode
from core.credentials import Role
from dashboard.openapi import document
from tests.end_to_end.beacons import beacon
from tests.end_to_end.system import ENGINES
from tests.end_to_end.test_disclosure import K, Played, fleet, played, yesterday
from warehouse.queries.metric_query import METRICS
from warehouse.queries.questions import QUESTIONS

pytestmark = pytest.mark.parametrize("kind", ENGINES)
MODULE = {"module": "invoice_pro"}
ASKED: list[tuple[str, dict[str, str]]] = [
    *((f"metrics/{name}", {"by": by}) for name in METRICS for by in ("none", "version", "php_series,whmcs_series")),
    ("metrics/installs", {"by": "version", "limit": "1", "count": "latest"}),
    ("metrics/lifecycle", {}),
    ("metrics/lifecycle", {**MODULE, "grain": "month", "php_series.ge": "8.1"}),
    ("metrics/lifecycle", {**MODULE, "php_series.ge": "8.1", "count": "latest"}),
    ("metrics/retention", {}),
    ("metrics/retention", {"feature": "admin.widget"}),
    ("metrics/first_use", {"feature": "admin.widget"}),
    ("metrics/adoption", {**MODULE, "version": "3.2.1"}),
    ("metrics/adoption", {**MODULE, "version": "none"}),
    ("metrics/upgrades", MODULE),
    ("metrics/together", {}),
    ("metrics/drop", {**MODULE, "os": "ubuntu"}),
    ("licensing/installs", {"limit": "3"}),
    ("licensing/flags", {}),
    ("licensing/cases", {}),
    ("licensing/trends", MODULE),
    ("releases", {}),
]  # fmt: skip


def get(played: Played, role: Role, path: str, arguments: dict[str, str]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {played.tokens[role]}"}
    answer = played.client.get(f"/api/v1/{path}", query_string=arguments, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json or {}
    return found


def load(played: Played, sent: list[dict[str, Any]]) -> None:
    """Insert beacons of any day into both planes, received yesterday and today."""
    planes, now = Planes(b"root secret of the tests"), datetime.now(UTC)
    received = (now - timedelta(days=1), now)
    splits = [
        planes.split(one, "198.51.100.7", received[number % 2], keep_date=True) for number, one in enumerate(sent)
    ]
    insert_batch(played.engine, "usage", str(uuid.uuid4()), [encode(split.usage) for split in splits])
    insert_batch(played.engine, "license", str(uuid.uuid4()), [encode(split.license) for split in splits])


def ask_all(played: Played) -> list[tuple[str, dict[str, Any]]]:
    """The answers to all that is asked."""
    load(played, fleet(yesterday(), installs=150, days=100))
    return [(path, get(played, role, path, args)) for role in (Role.ADMIN, Role.LICENSING) for path, args in ASKED]


def test_every_answer_is_as_described(kind: str, tmp_path: Path) -> None:
    """Members, types and nulls."""
    described = document()
    answers = played(kind, tmp_path, ask_all)
    for path, answer in answers:
        operation = described["paths"][f"/api/v1/{path}"]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        whole = {**described, "$ref": schema["$ref"]}
        jsonschema_rs.validator_for(whole, validate_formats=True).validate(answer)
    read = {path.removeprefix("/api/v1/") for path, operations in described["paths"].items() if "get" in operations}
    assert {path for path, _ in answers} == read - {"openapi.json", "licensing/cases/{case}"}
    # So that the schemas of rows are tried, too. Nobody has judged these installs or reported a release.
    without = {"metrics/adoption", "licensing/cases", "licensing/trends", "releases"}
    assert [path for path, answer in answers if path not in without and not answer["rows"]] == []


def figures(value: Any, name: str = "") -> list[int]:
    """All numbers of installs of an answer."""
    if isinstance(value, dict):
        return [one for key, each in value.items() for one in figures(each, key)]
    if isinstance(value, list):
        return [one for each in value for one in figures(each, name)]
    other = name in ("k", "day", "days", "within", "median_days", "expected", "suppressed") or "share" in name
    return [value] if type(value) is int and not other else []


def ask_rounded(played: Played) -> list[dict[str, Any]]:
    """The answers to the questions, to somebody from the product team."""
    load(played, fleet(yesterday(), installs=150, days=60))
    asked = [(path, args) for path, args in ASKED if path.removeprefix("metrics/") in QUESTIONS]
    return [get(played, Role.PRODUCT, path, args) for path, args in asked]


@pytest.mark.parametrize("settings", [{"figures": "rounded"}, {"disclosure": "strict"}], ids=str)
def test_rounded_figures_are_multiples_of_k(kind: str, tmp_path: Path, settings: dict[str, str]) -> None:
    """Also in mode strict, which would else have to remember all that was told. The answer says so."""
    answers = played(kind, tmp_path, ask_rounded, **settings)
    assert {answer["exact"] for answer in answers} == {False}
    found = [figure for answer in answers for figure in figures(answer)]
    assert len(found) > 50
    assert {figure % K for figure in found} == {0}


def ask_beside_invented(played: Played) -> list[list[dict[str, Any]]]:
    """The answers before and after somebody invents installs with a history of a month."""
    load(played, fleet(yesterday(), installs=80, days=60))
    asked = [(path, args) for path, args in ASKED if path.removeprefix("metrics/") in QUESTIONS]
    told = []
    for _ in range(2):
        answers = [get(played, Role.PRODUCT, path, args) for path, args in asked]
        told.append([{**answer, "fresh_to": None} for answer in answers])
        played.load(
            [
                beacon(install_id=install, sent_at=(datetime.now(UTC) - timedelta(days=day)).isoformat())
                for install in (str(uuid.uuid4()) for _ in range(3 * K))
                for day in range(1, 6)
            ]
        )
    return told


def test_invented_installs_do_not_count_in_mode_strict(kind: str, tmp_path: Path) -> None:
    """Before their beacons were received on two days."""
    before, after = played(kind, tmp_path, ask_beside_invented, disclosure="strict")
    assert before == after
    before, after = played(kind, tmp_path / "standard", ask_beside_invented)
    assert before != after


def ask_before_and_after(played: Played) -> list[list[dict[str, Any]]]:
    """The answers before and after an install reports today for the first time."""
    load(played, fleet(yesterday(), installs=80, days=60))
    asked = [(path, args) for path, args in ASKED if path.removeprefix("metrics/") in QUESTIONS]
    told = []
    for _ in range(2):
        answers = [get(played, Role.PRODUCT, path, args) for path, args in asked]
        told.append([{**answer, "fresh_to": None} for answer in answers])
        load(
            played,
            [beacon(sent_at=datetime.now(UTC).isoformat(), features={"admin.widget": 1, "invoice.pdf_export": 1})],
        )
    return told


def test_a_beacon_of_today_changes_nothing(kind: str, tmp_path: Path) -> None:
    """For those who may not see figures of a day that is not over."""
    before, after = played(kind, tmp_path, ask_before_and_after)
    assert before == after
