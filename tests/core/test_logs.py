"""The log: one JSON object per line, a request id for each request, and a limit on repeated lines."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.logs import HEADER, MOST_A_SECOND, JsonLine, Sparingly, _request, with_request_ids


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLine())
    logger = logging.Logger("pharos.test")
    logger.addHandler(handler)
    token = _request.set("")  # a test before may have asked an app in this thread
    yield logger, stream
    _request.reset(token)
    handler.close()


def test_a_line_is_one_object_whatever_it_says(written: tuple[logging.Logger, io.StringIO]) -> None:
    """Line ends, quotes and tracebacks stay within one JSON object."""
    logger, stream = written
    logger.warning('two\nlines and a "quote" of %s', "somebody", extra={"fields": {"status": 503}})
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["message"], first["level"], first["status"]) == (
        'two\nlines and a "quote" of somebody',
        "warning",
        503,
    )
    assert "ValueError: broken" in second["traceback"]
    assert first["time"].endswith("Z")
    assert "request" not in first


def test_a_request_s_lines_carry_the_id_of_its_answer(written: tuple[logging.Logger, io.StringIO]) -> None:
    """All lines of a request have the id of its response. The id is new and never the client's."""
    logger, stream = written
    ids = []

    def app(environ: object, start_response: object) -> list[bytes]:
        logger.info("at work")
        start_response("200 OK", [("Content-Type", "text/plain")])  # type: ignore[operator]
        return []

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        ids.append(dict(headers)[HEADER])
        assert dict(headers)["X-Always"] == "yes"

    for _ in range(2):
        with_request_ids(app, [("X-Always", "yes")])({"HTTP_X_REQUEST_ID": "mine"}, start)
    assert [json.loads(line)["request"] for line in stream.getvalue().splitlines()] == ids
    assert len(set(ids)) == 2
    assert "mine" not in ids


def test_a_flood_is_held_back_and_counted() -> None:
    """Ten lines per second are written. The next second reports how many were dropped."""
    now = [0.5]
    sparingly = Sparingly(lambda: now[0])

    def passes() -> tuple[bool, int]:
        record = logging.LogRecord("x", logging.INFO, "", 0, "refused", None, None)
        return sparingly.filter(record), getattr(record, "fields", {}).get("held_back", 0)

    assert sum(passes()[0] for _ in range(100)) == MOST_A_SECOND
    now[0] = 1.1
    assert passes() == (True, 100 - MOST_A_SECOND)
    assert passes() == (True, 0)


DRIVES = """
import logging.config
from core import logs

logging.config.dictConfig(logs.config())
import clickhouse_connect.driver.httputil
for name in ("urllib3.connectionpool", "clickhouse_connect.driver.httpclient"):
    logging.getLogger(name).warning("a host and a port")
    logging.getLogger(name).error("told")
"""


def test_a_service_logs_no_warning_of_the_driver() -> None:
    """They repeat each failure of ClickHouse, with an address. The driver sets levels when it is imported, later."""
    done = subprocess.run([sys.executable, "-c", DRIVES], check=True, capture_output=True, text=True, timeout=120)
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["told", "told"]
