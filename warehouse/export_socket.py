"""Exports tables of the embedded engine to another process, through a Unix socket in the home.

Only one process, the owner, can open the embedded engine. A request is one line of JSON: a part, null for the
contents, "retention" for what is kept too long, "licenses" for the license registry, or
"addresses" for how many installs share one. The answer is a line with its size or an error, then that many
bytes. Access to the home grants access to the socket.
"""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Literal

import msgspec

from core.home import Home
from warehouse import retention
from warehouse.engine import Engine, EngineError
from warehouse.export import TABLES, Contents, EngineTables, Part
from warehouse.licensing import addresses, registry

SOCKET = "engine.sock"
# Reading a part may take a while. A killed owner restarts sooner.
ANSWER_SECONDS = 120.0
AWAY_SECONDS = 60.0
CLOSE_SECONDS = 5.0

Question = Part | Literal["retention", "licenses", "addresses"] | None

log = logging.getLogger("pharos.lending")


class _Head(msgspec.Struct):
    size: int = 0
    error: str = ""


class ExportServer:
    """A thread in the engine's owner that answers one request at a time."""

    def __init__(self, home: Home, engine: Engine) -> None:
        self._engine, self._tables = engine, EngineTables(engine)
        self._closed = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0.5)
        self._thread: threading.Thread | None = None
        try:
            with _folder(home) as folder:
                (home.path / SOCKET).unlink(missing_ok=True)  # left by a killed owner: we hold its lock now
                self._socket.bind(f"{folder}/{SOCKET}")
            (home.path / SOCKET).chmod(0o600)
            self._socket.listen()
        except OSError as error:  # not every file system supports sockets, and everything else works without one
            log.warning("a backup requires Pharos to be stopped: cannot listen on %s: %s", home.path / SOCKET, error)
            return
        self._thread = threading.Thread(target=self._run, name="lender", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering requests."""
        self._closed.set()
        self._socket.close()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(ANSWER_SECONDS)
                    self._answer(connection)
                except OSError as error:  # the client is gone
                    log.info("the client of a table export disconnected: %s", error)
                except Exception:
                    log.exception("a table export failed")

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            line = lines.readline()
        if not line:
            return  # the client only checked whether an owner answers (`lends`)
        question = msgspec.json.decode(line, type=Question)
        try:
            answer = self._find(question)
        except EngineError as error:
            connection.sendall(msgspec.json.encode(_Head(error=str(error))) + b"\n")
            return
        connection.sendall(msgspec.json.encode(_Head(size=len(answer))) + b"\n")
        connection.sendall(answer)

    def _find(self, question: Question) -> bytes:
        if question is None:
            return msgspec.json.encode(self._tables.contents())
        if question == "retention":
            return msgspec.json.encode(retention.faults(self._engine))
        if question == "licenses":
            return msgspec.json.encode(registry.present(self._engine))
        if question == "addresses":
            return msgspec.json.encode(addresses.concentration(self._engine))
        return self._read(question)

    def _read(self, part: Part) -> bytes:
        if part.table not in TABLES:
            raise EngineError(f"the table {part.table} cannot be exported")
        return self._tables.read(part)


class ExportClient:
    """The tables of an engine that another process owns. Retries while that process restarts after a kill."""

    def __init__(self, home: Home, away_seconds: float | None = None) -> None:
        self._home, self._away_seconds = home, AWAY_SECONDS if away_seconds is None else away_seconds

    def contents(self) -> Contents:
        """Return the contents of the database. Raises `EngineError`."""
        return msgspec.json.decode(self._ask(None), type=Contents)

    def read(self, part: Part) -> bytes:
        """Return the rows of a part, in Native format. Raises `EngineError`."""
        return self._ask(part)

    def retention_faults(self) -> list[str] | None:
        """As `retention.faults`. Raises `EngineError`."""
        return msgspec.json.decode(self._ask("retention"), type=list[str] | None)

    def licenses(self) -> list[registry.Row]:
        """As `registry.present`. Raises `EngineError`."""
        return msgspec.json.decode(self._ask("licenses"), type=list[registry.Row])

    def concentration(self) -> addresses.Concentration:
        """As `addresses.concentration`. Raises `EngineError`."""
        return msgspec.json.decode(self._ask("addresses"), type=addresses.Concentration)

    def _ask(self, question: Question) -> bytes:
        deadline = time.monotonic() + self._away_seconds
        while True:
            try:
                return _ask(self._home, question)
            except OSError as error:
                if time.monotonic() > deadline:
                    raise EngineError("the process that owns the engine does not answer") from error
                time.sleep(0.2)


def lends(home: Home) -> bool:
    """Whether a process that owns this home's engine answers."""
    try:
        _connect(home).close()
    except OSError:
        return False
    return True


def _ask(home: Home, question: Question) -> bytes:
    with _connect(home) as connection, connection.makefile("rb") as answer:
        connection.sendall(msgspec.json.encode(question) + b"\n")
        line = answer.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the owner of the engine is gone")
        head = msgspec.json.decode(line, type=_Head)
        if head.error:
            raise EngineError(head.error)
        content = answer.read(head.size)
        if len(content) < head.size:
            raise ConnectionError("the owner of the engine is gone")
        return content


def _connect(home: Home) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(ANSWER_SECONDS)
    try:
        with _folder(home) as folder:
            connection.connect(f"{folder}/{SOCKET}")
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _folder(home: Home) -> Iterator[str]:
    """Yield a short path of the home: the path of a Unix socket has at most 107 bytes."""
    descriptor = os.open(home.path, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
