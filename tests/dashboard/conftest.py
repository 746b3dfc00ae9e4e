"""A dashboard without ClickHouse behind it: an engine that is empty, or away."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dashboard.app import create_app
from dashboard.login import session_id
from warehouse.credentials import Credentials, Role
from warehouse.engine import Engine, EngineError
from warehouse.home import Home
from warehouse.settings import Settings

PASSWORD = "correct horse"


class EmptyEngine(Engine):
    """Answers as a database in which nothing is; `away`: as one that is not there."""

    def __init__(self) -> None:
        self.away = False
        self._url = ""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        if self.away:
            raise EngineError("connection refused")
        return [(None, 0)] if "freshness_by_loader" in sql else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def engine() -> EmptyEngine:
    return EmptyEngine()


@pytest.fixture(scope="session")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A credentials file with a user of each role, named for it. Made once: a password is slow to hash, as it must."""
    path = tmp_path_factory.mktemp("users") / "credentials.sqlite"
    for role in Role:
        Credentials(path).add_user(role.value, role, PASSWORD)
    return path


@pytest.fixture
def credentials(home: Home, users: Path) -> Credentials:
    shutil.copy(users, home.credentials)
    return Credentials(home.credentials)


@pytest.fixture
def app(home: Home, engine: EmptyEngine, credentials: Credentials) -> Flask:
    return create_app(Settings(), home, engine)


@pytest.fixture
def visit(app: Flask, credentials: Credentials) -> Callable[[str | None], FlaskClient]:
    """A browser in which that user is logged in, or nobody. How one logs in is what `test_login.py` tries."""

    def visit(name: str | None) -> FlaskClient:
        client = app.test_client()
        if name is not None:
            user = credentials.user(name)
            assert user is not None
            with client.session_transaction() as session:
                session.update(_user_id=session_id(user), _fresh=True)
        return client

    return visit


def form_token(client: FlaskClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get("/login").text)
    assert found is not None
    return found[1]


def call(client: FlaskClient, output: str, inputs: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> Any:
    """Call a callback as the browser does; `inputs` and `state` are `{"id.property": value}`."""

    def spelled(values: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {"id": name.rpartition(".")[0], "property": name.rpartition(".")[2], "value": value}
            for name, value in values.items()
        ]

    names = output.strip(".").split("...")
    outputs = [{"id": name.rpartition(".")[0], "property": name.rpartition(".")[2]} for name in names]
    body = {
        "output": output,
        "outputs": outputs if output.startswith("..") else outputs[0],
        "inputs": spelled(inputs),
        "state": spelled(state or {}),
        "changedPropIds": list(inputs),
    }
    return client.post("/_dash-update-component", json=body)
