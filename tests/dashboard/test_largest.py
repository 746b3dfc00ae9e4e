"""Limits on the number of rows, on the pages and in the read API."""

import csv
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from dashboard.largest import MOST_ROWS, largest
from dashboard.pages.features.rows import FEW, ordered
from tests.dashboard.conftest import fill
from warehouse.queries import metrics

Visit = Callable[[str | None], FlaskClient]
FEATURES = 3600


@pytest.fixture
def many_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of 4,000 installs with thousands of features."""

    def answer(_engine: Any, query: Any, _k: int, **_: Any) -> dict[str, Any]:
        used = [(f"f{number:04}", FEATURES + 5 - number) for number in range(FEATURES)]
        rows: list[dict[str, Any]] = [{"key": "one" if query.by else None, "value": 4000}]
        if query.by == "module,feature":
            rows = [{"keys": ["one", feature], "value": value} for feature, value in used]
            rows.append({"keys": ["(other)", "(other)"], "value": 7})
        elif query.by == "feature":
            rows = [{"key": feature, "value": value} for feature, value in [*used, ("(other)", 7)]]
        return {"rows": [{"bucket": "2026-11-01", **row} for row in rows]}

    monkeypatch.setattr(metrics, "answer", answer)


def rows(*values: tuple[str, str | None, int]) -> dict[str, Any]:
    return {"rows": [{"bucket": bucket, "key": key, "value": value} for bucket, key, value in values]}


def test_rows_without_a_key_are_kept() -> None:
    """Without `by` each bucket has one."""
    answer = rows(("d1", None, 9), ("d2", None, 8))
    assert largest(answer, 1) == {**answer, "more": 0}


def test_the_largest_of_each_bucket_are_kept_and_other_beside_them() -> None:
    """The largest groups and `(other)` are returned, and the rest is counted."""
    answer = rows(("d1", "a", 9), ("d1", "b", 8), ("d1", "c", 7), ("d1", "(other)", 6), ("d2", "a", 5))
    found = largest(answer, 2)
    assert [(row["bucket"], row["key"]) for row in found["rows"]] == [
        ("d1", "a"),
        ("d1", "b"),
        ("d1", "(other)"),
        ("d2", "a"),
    ]
    assert found["more"] == 1
    assert largest(answer, 3)["more"] == 0


@pytest.mark.usefixtures("many_features")
def test_the_features_table_is_given_in_blocks(visit: Visit) -> None:
    """The grid loads blocks of rows while it scrolls, the largest first."""
    client = visit("product")
    first = fill(client, "features-rows")["features-grid"]["getRowsResponse"]
    assert (len(first["rowData"]), first["rowCount"]) == (MOST_ROWS, FEATURES)
    assert first["rowData"][0]["feature"] == "f0000"
    request = {"startRow": 3400, "endRow": 3600, "sortModel": [{"colId": "uses", "sort": "asc"}]}
    last = fill(client, "features-rows", features_grid=request)["features-grid"]["getRowsResponse"]
    assert last["rowData"][-1]["feature"] == "f0000"
    assert len(str(fill(client, "features"))) < 2000, "nothing else of the page grows with the features"


@pytest.mark.usefixtures("many_features")
def test_the_csv_file_has_every_feature(visit: Visit) -> None:
    """The CSV file has all features in the order of the grid, with the fold last."""
    request = {"sortModel": [{"colId": "feature", "sort": "desc"}]}
    data = fill(visit("product"), "features-download", features_grid=request)["features-download"]["data"]
    lines = list(csv.reader(StringIO(data["content"].removeprefix("\ufeff"))))
    assert lines[0][:3] == ["Module", "Feature", "Title"]
    assert [line[1] for line in lines[1:3]] == ["f3599", "f3598"]
    assert lines[-1][1] == "(other)"
    assert len(lines) == 1 + FEATURES + 1
    assert data["filename"].startswith("pharos-features-")


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_rows_without_a_figure_come_last(direction: str) -> None:
    """Rows without a value are last in both directions."""
    table = [{"adoption": value} for value in (FEW, 0.5, 0.7)]
    assert ordered(table, [{"colId": "adoption", "sort": direction}])[-1] == {"adoption": FEW}


@pytest.mark.usefixtures("many_features")
def test_the_read_api_gives_all_rows_unless_a_limit_is_given(visit: Visit, credentials: Credentials) -> None:
    """The read API returns all rows. With a limit it returns how many more there are."""
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.PRODUCT)}"}
    path = "/api/v1/metrics/feature_installs?grain=period"
    client = visit(None)
    everything: Any = client.get(path, headers=headers).json
    assert len(everything["rows"]) == FEATURES + 1
    assert "more" not in everything
    bounded: Any = client.get(f"{path}&limit=200", headers=headers).json
    assert (len(bounded["rows"]), bounded["more"]) == (201, FEATURES - 200)
    for wrong in ("0", "-1", "x", "99999999", "1.5", "²"):
        answer = client.get(f"{path}&limit={wrong}", headers=headers)
        assert answer.status_code == 422, wrong
        assert answer.json["path"] == "limit"  # type: ignore[index]
