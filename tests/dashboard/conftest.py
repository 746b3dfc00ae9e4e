"""A dashboard without ClickHouse: its engine is empty or unavailable."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from core.credentials import Credentials, Role
from core.home import Home
from core.sessions import Sessions
from core.settings import Settings
from dashboard.app import create_app
from warehouse.engine import Engine, EngineError, Trouble
from warehouse.migrate import sql_files

PASSWORD = "correct horse"


class EmptyEngine(Engine):
    """Responds like an empty database, or with `away` like an unavailable one."""

    def __init__(self) -> None:
        self.away = False
        self.missing = ""  # a table
        self.pending: list[str] = []  # migrations that are not applied
        self.cluster = ""
        self.database = "pharos"
        self._trouble: Trouble | None = None
        self.loaders: list[tuple[Any, ...]] = []
        self.requests: list[tuple[Any, ...]] = []

    @property
    def embedded(self) -> bool:
        return True

    @property
    def trouble(self) -> Trouble | None:
        return self._trouble

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        if self.away:
            raise EngineError("connection refused", self._trouble)
        if self.missing and self.missing in sql:
            raise EngineError("unknown table", Trouble(datetime.now(UTC), "answers with UNKNOWN_TABLE (60)"))
        if "FROM migrations" in sql:
            return [(int(name[:3]),) for name, _ in sql_files() if name not in self.pending]
        if "FROM rights_requests" in sql:
            return self.requests
        if "FROM freshness_by_loader" in sql and "LIMIT 1 BY loader" in sql:
            return self.loaders
        if "freshness_by_loader" in sql:
            return [(min((loader[1] for loader in self.loaders), default=None), len(self.loaders))]
        if sql.startswith("SELECT sum(bitCount(") or "uniqExact(install) FROM (" in sql:
            return [(0,)]
        if "module NOT IN {without" in sql or " AS all_active" in sql:
            return [(0, 0)]
        if sql.startswith("SELECT sumForEach("):  # of the question `lifecycle`
            return [([], [], [], [], [])]
        if sql.startswith("SELECT countIf(first_use"):
            return [(0, 0, 0, 0, 0)]
        return [(None, 0)] if sql.startswith("SELECT min(") else []

    def version(self) -> str:
        if self.away:
            raise EngineError("connection refused", self._trouble)
        return "26.9.1"

    def has_loader(self, fresh_to: datetime, **changes: Any) -> None:
        """Store the report of a loader, made now by default."""
        told = {
            "loader": "1a2b3c4d-0000-4000-8000-000000000000", "fresh_to": fresh_to, "written": datetime.now(UTC),
            "waiting": 0, "oldest": None, "sealed": 0, "quarantined": 0, "free_bytes": 10**10, "pharos": "0.1",
            "trouble": "", "trouble_since": None, **changes,
        }  # fmt: skip
        naive = [value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in told.values()]
        self.loaders.append(tuple(naive))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def engine() -> EmptyEngine:
    return EmptyEngine()


def quick_hashes() -> Any:
    """Make the hashes of passwords with a thirtieth of the work. `core/test_credentials.py` has all of it."""
    quick = partial(generate_password_hash, method="scrypt:1024:8:1")
    return patch("werkzeug.security.generate_password_hash", quick)


@pytest.fixture(scope="module", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash the passwords of these tests quickly."""
    with quick_hashes():
        yield


@pytest.fixture(scope="session")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A credentials file with one user per role, named after it."""
    path = tmp_path_factory.mktemp("users") / "credentials.sqlite"
    with quick_hashes():
        for role in Role:
            Credentials(path).add_user(role.value, role, PASSWORD)
    return path


@pytest.fixture
def credentials(home: Home, users: Path) -> Credentials:
    shutil.copy(users, home.credentials)
    return Credentials(home.credentials)


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def app(settings: Settings, home: Home, engine: EmptyEngine, credentials: Credentials) -> Flask:
    return create_app(settings, home, engine)


@pytest.fixture
def visit(app: Flask, credentials: Credentials) -> Callable[[str | None], FlaskClient]:
    """Return a browser in which a user is logged in, or nobody. `test_login.py` tests the login itself."""
    return visits(app, credentials)


def visits(app: Flask, credentials: Credentials) -> Callable[[str | None], FlaskClient]:
    """Return what `visit` is, for an app."""

    def visit(name: str | None) -> FlaskClient:
        client = app.test_client()
        if name is not None:
            user = credentials.user(name)
            assert user is not None
            with client.session_transaction() as session:
                session.update(_user_id=Sessions(credentials).begin(user), _fresh=True)
        return client

    return visit


def form_token(client: FlaskClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', client.get("/login").text)
    assert found is not None
    return found[1]


def call(client: FlaskClient, output: str, inputs: Mapping[str, Any], state: Mapping[str, Any] | None = None) -> Any:
    """Call a callback as the browser does. `inputs` and `state` are `{"id.property": value}`."""

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


def output_of(client: FlaskClient, region: str) -> str:
    """Return the output of the callback that fills a region."""
    dependencies: Any = client.get("/_dash-dependencies").json
    return next(
        str(one["output"])
        for one in dependencies
        if f"{region}-message.children" in one["output"].strip(".").split("...")
    )


def fill(client: FlaskClient, region: str, search: str = "", **inputs: Any) -> Any:
    """Call the callback of a region as the browser does; return its result by component and property.

    `inputs` are the values of other inputs and states, by component (`features_grid` is `features-grid`).
    """
    dependencies: Any = client.get("/_dash-dependencies").json
    output = output_of(client, region)
    found = next(one for one in dependencies if one["output"] == output)
    known = {"url": search, **{name.replace("_", "-"): value for name, value in inputs.items()}}

    def given(kind: str) -> dict[str, Any]:
        return {
            f"{one['id']}.{one['property']}": "/" if one["property"] == "pathname" else known.get(one["id"])
            for one in found[kind]
        }

    answer = call(client, output, given("inputs"), given("state"))
    assert answer.status_code == 200, answer.status_code
    return json.loads(answer.text)["response"]
