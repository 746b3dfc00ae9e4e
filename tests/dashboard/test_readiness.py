"""`/readyz` and the read API, when ClickHouse is away: what is wrong, and since when."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from tests.dashboard.conftest import EmptyEngine
from warehouse.engine import Trouble

Visit = Callable[[str | None], FlaskClient]
SINCE = datetime(2026, 11, 23, 14, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize("path", ["/readyz", "/api/v1/metrics/installs", "/api/v1/licensing/flags"])
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (None, "does not answer;"),
        (Trouble(SINCE, "answers with X (60)"), "answers with X (60) since 2026-11-23T14:02:05Z;"),
        (Trouble(SINCE, "does not answer", exact=False), "does not answer at least since 2026-11-23T14:02:05Z;"),
    ],
)
def test_clickhouse_away_is_a_503_that_says_since_when(
    visit: Visit, engine: EmptyEngine, credentials: Credentials, path: str, trouble: Trouble | None, said: str
) -> None:
    """With `Retry-After`, and nothing of the error's own text."""
    engine.away, engine._trouble = True, trouble
    token = credentials.add_token(Role.ADMIN)
    answer = visit(None).get(path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    problem = answer.get_json(force=True)
    assert problem["reason"] == "unavailable"
    assert problem["detail"].startswith(f"ClickHouse {said}")
    assert "connection refused" not in answer.text


def test_clickhouse_back_is_ready(visit: Visit, engine: EmptyEngine) -> None:
    """At once."""
    engine.away = True
    assert visit(None).get("/readyz").status_code == 503
    engine.away = False
    assert visit(None).get("/readyz").status_code == 200
