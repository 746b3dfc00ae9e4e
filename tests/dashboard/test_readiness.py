"""`/readyz` and the read API while ClickHouse is unavailable."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from dashboard.readiness import KEPT_SECONDS, Readiness
from tests.dashboard.conftest import EmptyEngine
from tests.end_to_end.system import wait_for
from warehouse.engine import EngineError, Trouble
from warehouse.migrate import sql_files

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
    """The 503 has the time of the failure and Retry-After, and no part of the error."""
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


def test_a_migration_that_is_not_applied_is_a_503(visit: Visit, engine: EmptyEngine) -> None:
    """Until the tables are those of this version, `/readyz` is 503, although ClickHouse answers."""
    now = 0.0
    readiness = Readiness(engine, lambda: now)
    last, _ = sql_files()[-1]
    engine.pending = [last]
    for later in (0.0, KEPT_SECONDS):
        now = later
        with pytest.raises(EngineError, match=last):
            readiness.check()
    answer = visit(None).get("/readyz")
    assert answer.status_code == 503
    assert f"ClickHouse has not applied the migration {last} at least since " in answer.text
    engine.pending = []
    now = 2 * KEPT_SECONDS
    readiness.check()


class CountingEngine(EmptyEngine):
    """Counts requests for its version, and can delay the response."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.go = threading.Event()
        self.go.set()

    def version(self) -> str:
        self.asked += 1
        assert self.go.wait(30)
        return super().version()


def test_clickhouse_is_asked_once_in_a_while() -> None:
    """A result is cached for two seconds, however many requests arrive."""
    now = 0.0
    engine = CountingEngine()
    readiness = Readiness(engine, lambda: now)
    engine.away = True
    for _ in range(100):
        with pytest.raises(EngineError):
            readiness.check()
    assert engine.asked == 1
    engine.away = False
    now = KEPT_SECONDS
    for _ in range(100):
        readiness.check()
    assert engine.asked == 2


def test_nobody_waits_for_a_check_of_another() -> None:
    """While one request waits for ClickHouse, others get the last result."""
    now = 0.0
    engine = CountingEngine()
    readiness = Readiness(engine, lambda: now)
    readiness.check()
    now = KEPT_SECONDS
    engine.go.clear()
    checking = threading.Thread(target=readiness.check)
    checking.start()
    wait_for(lambda: engine.asked == 2, "a check")
    for _ in range(100):
        readiness.check()
    engine.go.set()
    checking.join()
    assert engine.asked == 2
