"""The process that owns the engine exports its tables through a socket in the home."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from core.home import Home
from warehouse import export_socket
from warehouse.engine import Engine, EngineError
from warehouse.export import Contents, Part

PART = Part("usage_beacons", "2026-11-22", 0, 1, 9)
ROWS = bytes(range(256)) * 20_000


class FakeEngine:
    """An engine with one table, which can fail."""

    cluster = ""
    broken = False

    @property
    def servers(self) -> list["FakeEngine"]:
        return [self]

    def of(self, table: str) -> "FakeEngine":
        return self

    def synchronize(self, table: str) -> None:
        """There is one replica."""

    def version(self) -> str:
        return "26.9"

    def query(self, sql: str, parameters: Any = None) -> list[Any]:
        if "system.tables" in sql:
            return [("migrations",), ("usage_beacons",)]
        return [("001_usage.sql", "ab")] if "migrations" in sql else [("2026-11-22", 9)]

    def read(self, sql: str, parameters: dict[str, Any]) -> bytes:
        if self.broken:
            raise EngineError("the engine is broken")
        assert parameters == {"day": "2026-11-22", "number": 0, "of": 1}
        return ROWS


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def home(tmp_path: Path, engine: FakeEngine) -> Iterator[Home]:
    """A home whose engine has an owner."""
    home = Home(tmp_path / "home")
    lender = export_socket.ExportServer(home, cast(Engine, engine))
    yield home
    lender.close()
    assert not export_socket.lends(home)


def test_tables_are_lent(home: Home) -> None:
    """Contents and parts are complete, and the socket has mode 0600."""
    assert export_socket.lends(home)
    tables = export_socket.ExportClient(home)
    assert tables.contents() == Contents("26.9", {"001_usage.sql": "ab"}, [PART])
    assert tables.read(PART) == ROWS
    assert (home.path / export_socket.SOCKET).stat().st_mode & 0o777 == 0o600


def test_what_is_wrong_with_the_engine_is_told(home: Home, engine: FakeEngine) -> None:
    """An engine's error is passed on and not retried. Other tables are refused."""
    engine.broken = True
    with pytest.raises(EngineError, match="the engine is broken"):
        export_socket.ExportClient(home).read(PART)
    with pytest.raises(EngineError, match="the table migrations cannot be exported"):
        export_socket.ExportClient(home).read(Part("migrations", "", 0, 1, 9))


@pytest.mark.parametrize("said", [b"", b"null\n", b"nonsense\n", b'{"table": 5}\n'])
def test_who_hangs_up_keeps_nobody_from_asking(home: Home, said: bytes) -> None:
    """After an invalid question or a client that disconnects, the next question is answered."""
    with export_socket._connect(home) as caller:
        caller.sendall(said)
    assert export_socket.ExportClient(home).read(PART) == ROWS


def test_an_owner_that_is_gone_is_waited_for_in_vain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an owner the export fails after a while."""
    monkeypatch.setattr(export_socket, "AWAY_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(EngineError, match="does not answer"):
        export_socket.ExportClient(Home(tmp_path / "home")).contents()
    assert 0.5 < time.monotonic() - began < 30  # and not the minute of `AWAY_SECONDS`


def test_a_folder_that_cannot_hold_a_socket_costs_the_backup_alone(tmp_path: Path, engine: FakeEngine) -> None:
    """Where no socket can be made, only the export is unavailable."""
    home = Home(tmp_path / "home")
    (home.path / export_socket.SOCKET).mkdir()
    export_socket.ExportServer(home, cast(Engine, engine)).close()
    assert not export_socket.lends(home)
