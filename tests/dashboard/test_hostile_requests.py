"""Malicious requests to the dashboard are refused without a 5xx or a traceback."""

import copy
import io
import itertools
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.credentials import Credentials, Role
from core.logs import HEADER, JsonLine, with_request_ids
from dashboard.app import MOST_BODY_BYTES
from dashboard.permissions import CALLBACKS, EXTENSION
from tests.dashboard.conftest import EmptyEngine
from warehouse.queries import cursors

Visit = Callable[[str | None], FlaskClient]
# What stands in for any part of a call.
JUNK: tuple[Any, ...] = (None, 5, -1, 1e400, True, "", "x", "\ud800", "../../etc", [], [5], [[]], {}, {"id": 5},
        {"ids": 5},        {"rows": "x"}, {"rows": -1}, {"ids": [None]}, {"rows": 10**30})  # fmt: skip


@pytest.fixture
def client(visit: Visit) -> FlaskClient:
    """The browser of an admin, who may call all callbacks."""
    return visit("admin")


def calls(app: Flask) -> Iterator[dict[str, Any]]:
    """Return a valid call of each server-side callback."""
    callbacks = app.extensions[EXTENSION]
    for output in callbacks.pages:
        registered = callbacks._dash.callback_map[output]
        names = [name.rpartition(".") for name in output.strip(".").split("...")]
        outputs = [{"id": id, "property": name} for id, _, name in names]
        inputs = [{**each, "value": None} for each in registered["inputs"]]
        state = [{**each, "value": None} for each in registered["state"]]
        for each in inputs + state:
            each["value"] = {"pathname": "/", "search": ""}.get(each["property"])
        yield {
            "output": output,
            "outputs": outputs if output.startswith("..") else outputs[0],
            "inputs": inputs,
            "state": state,
            "changedPropIds": [],
        }


def mutations(call: dict[str, Any]) -> Iterator[Any]:
    """Return the call with each of its parts removed or replaced by junk."""

    def places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        yield path
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, below in items:
            yield from places(below, (*path, name))

    for path in places(call, ()):
        if not path:
            yield from JUNK
            continue
        for junk in (*JUNK, None):
            changed = copy.deepcopy(call)
            at: Any = changed
            for name in path[:-1]:
                at = at[name]
            at[path[-1]] = junk
            yield changed
        del at[path[-1]]
        yield changed


def test_a_good_call_is_answered(app: Flask, client: FlaskClient) -> None:
    """The unchanged calls succeed, so that the other tests fail only because of the change."""
    statuses = {call["output"]: client.post(CALLBACKS, json=call).status_code for call in calls(app)}
    assert len(statuses) > 10
    assert set(statuses.values()) == {200}


def test_a_malformed_call_is_refused(app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    """A call with any missing or replaced part gets a 400 or 403."""
    tried = 0
    with caplog.at_level(logging.ERROR):
        for number, call in enumerate(calls(app)):
            # Each callback with another tenth of them: what is checked is the same for all.
            for changed in itertools.islice(mutations(call), number % 10, None, 10):
                answer = client.post(CALLBACKS, data=json.dumps(changed), content_type="application/json")
                assert answer.status_code in (200, 204, 400, 403), changed
                tried += 1
    assert tried > 1000
    assert [record for record in caplog.records if record.exc_info or "failed" in record.getMessage()] == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 500_000, b'{"a":' * 100_000, b"1" * 10_000, b'{"output": NaN}', b"null"]
)
def test_what_is_no_json_is_refused(client: FlaskClient, body: bytes) -> None:
    """A body that is not JSON is refused, also if it is nested too deeply."""
    assert client.post(CALLBACKS, data=body, content_type="application/json").status_code in (400, 403)


@pytest.mark.parametrize("path", [CALLBACKS, "/login"])
@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_body_that_is_too_large_is_not_read(visit: Visit, path: str, kind: str) -> None:
    """A body over the limit gets a 413 before it is read. Without the limit 60 MB of JSON took 2 GB."""
    client = visit(None if path == "/login" else "admin")
    body = io.BytesIO(b"[" * (2 * MOST_BODY_BYTES))
    answer = client.post(path, input_stream=body, headers={"Content-Type": kind, "Content-Length": str(60 << 20)})
    # Of what is no JSON a callback reads nothing, and a login nothing of what is no form.
    assert answer.status_code == 413 or answer.status_code == (403 if path == CALLBACKS else 400)
    assert body.tell() == 0


@pytest.mark.parametrize(
    "cursor",
    [
        "Oi0x",
        "Og==",
        "OjE=",
        "eDoxODQ0Njc0NDA3MzcwOTU1MTYxNg==",
        "eDotMQ==",
        "eDoxXzA=",
        "eDrZoQ==",
        "AAAA",
        "x",
        "=",
        "é",
        *(cursors.cursor("installs", {}, place) for place in ([], [""], ["x"], ["x", -1], ["x", 1 << 64], ["x", 1, 1])),
        cursors.cursor("flags", {}, ["x", 1]),
        cursors.cursor("installs", {"module": "x"}, ["x", 1]),
    ],
)
def test_a_made_up_cursor_is_refused(visit: Visit, credentials: Credentials, cursor: str) -> None:
    """An invalid cursor gets a 422 and does not reach ClickHouse."""
    token = credentials.add_token(Role.ADMIN)
    answer = visit(None).get(
        "/api/v1/licensing/installs",
        query_string={"cursor": cursor},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 422
    assert answer.get_json(force=True)["path"] == "cursor"


@pytest.mark.parametrize("place", [[], ["x", "y", 1], ["x", "y", 1, -1], ["x" * 65, "y", 1, 1], ["x", "y", 1, 1 << 64]])
def test_a_made_up_cursor_of_flags_is_refused(visit: Visit, credentials: Credentials, place: list[object]) -> None:
    """As one of installs."""
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    query = {"cursor": cursors.cursor("flags", {}, place)}
    answer = visit(None).get("/api/v1/licensing/flags", query_string=query, headers=headers)
    assert (answer.status_code, answer.get_json(force=True)["path"]) == (422, "cursor")


@pytest.mark.parametrize("path", ["installs", "flags", "cases"])
def test_a_cursor_belongs_to_its_list_and_filters(visit: Visit, credentials: Credentials, path: str) -> None:
    """With the other filters it would lead to an end that looks like that of the list. The limit may change."""
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    places: dict[str, list[object]] = {"installs": ["a", 1], "flags": ["a", "lapsed", 0, 1], "cases": [50]}

    def status(name: str, module: str) -> int:
        query = {"cursor": cursors.cursor(name, {"module": "a"}, places[path]), "module": module, "limit": "7"}
        return visit(None).get(f"/api/v1/licensing/{path}", query_string=query, headers=headers).status_code

    assert (status(path, "a"), status(path, "b"), status("other", "a")) == (200, 422, 422)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("metrics/installs", "php_series.lt"),
        ("metrics/feature_uses", "module"),
        ("metrics/lifecycle", "php.in"),
        ("metrics/retention", "feature"),
        ("licensing/installs", "status"),
        ("licensing/flags", "flag"),
        ("licensing/cases", "state"),
        ("licensing/trends", "module"),
    ],
)
def test_a_filter_without_a_value_is_refused(visit: Visit, credentials: Credentials, path: str, name: str) -> None:
    """A shell variable that is not set must not select everything."""
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    answer = visit(None).get(
        f"/api/v1/{path}?module=a&{name}=" if name != "module" else f"/api/v1/{path}?module=", headers=headers
    )
    problem = answer.get_json(force=True)
    assert (answer.status_code, problem["reason"], problem["path"]) == (422, "bad_format", name)


def test_other_parameters_without_a_value_are_not_given(visit: Visit, credentials: Credentials) -> None:
    """Their defaults are no filters."""
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    for query in ("metrics/installs?from=&to=&grain=&by=&count=&limit=", "licensing/installs?limit=&cursor="):
        assert visit(None).get(f"/api/v1/{query}", headers=headers).status_code == 200, query


@pytest.mark.parametrize("module", ["x" * 65, "a\0b", "\x1b[31m"])
def test_a_module_that_none_can_be_called_is_refused(visit: Visit, credentials: Credentials, module: str) -> None:
    """A filter of the license plane rejects an invalid module name."""
    token = credentials.add_token(Role.ADMIN)
    answer = visit(None).get(
        "/api/v1/licensing/installs",
        query_string={"module": module},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 422


def test_a_failure_is_logged_by_its_place_alone(
    visit: Visit, app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is logged with its place, without a traceback, which may contain data of the request."""

    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("a secret")

    monkeypatch.setitem(app.view_functions, "show_login", fail)
    with caplog.at_level(logging.ERROR):
        assert visit(None).get("/login").status_code == 500
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert line.getMessage().startswith("a request failed: KeyError at test_hostile_requests.py:")
    assert "a secret" not in line.getMessage()
    assert line.exc_info is None


def test_what_the_read_api_refuses_is_in_the_log_without_its_data(
    app: Flask, engine: EmptyEngine, credentials: Credentials
) -> None:
    """A line has the id of the answer, status and reason. Only a 503 says more, because that is about Pharos."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLine())
    logger = logging.getLogger("pharos.requests")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    app.wsgi_app = with_request_ids(app.wsgi_app)  # type: ignore[method-assign]
    headers = {"Authorization": f"Bearer {credentials.add_token(Role.ADMIN)}"}
    try:
        client, path = app.test_client(), "/api/v1/metrics/installs"
        answers = [
            client.get(path, headers={"Authorization": "Bearer jane"}),
            client.get(f"{path}?from=jane", headers=headers),
            client.get(f"{path}?jane=1", headers=headers),
        ]
        engine.away = True
        answers.append(client.get(path, headers=headers))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [(line["message"], line["request"]) for line in lines] == [
        (f"refused: {said}", answer.headers[HEADER])
        for said, answer in zip(
            (
                "401 unauthorized",
                "422 bad_format",
                "422 unknown_field",
                "503 unavailable: ClickHouse does not answer; beacons are still accepted",
            ),
            answers,
            strict=True,
        )
    ]
    assert "jane" not in written.getvalue()
