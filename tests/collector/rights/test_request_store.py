"""How long requests and their results are stored."""

import secrets
from typing import cast

import pytest

from collector.loader import FORGET_SECONDS, Loader
from collector.planes import Planes
from collector.rights.api import ask, request_status
from collector.rights.request_store import RECORD_DAYS, RESULT_DAYS, RequestStore
from collector.spool import Spool
from tests.collector.test_loader import FakeEngine
from warehouse.engine import Engine

DAY = 86400
INSTALL = "5f0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1e"
NONE: dict[str, dict[str, str]] = {"usage": {}, "license": {}}


def test_results_and_records_are_forgotten_by_the_loader(spool: Spool) -> None:
    """The loader deletes results after 7 days and records after 13 months."""
    store = RequestStore(spool)
    ticket = ask(store, Planes(b"a secret"), INSTALL, "object", "", NONE)
    (request,) = store.pending()
    done = request.received
    store.finish([request], "done", done, b"sealed")
    clock = [float(done)]
    found = []
    for days in (RESULT_DAYS - 1, RESULT_DAYS + 1, RECORD_DAYS - 1, RECORD_DAYS + 1):
        clock[0] = done + days * DAY + FORGET_SECONDS
        Loader(spool, cast(Engine, FakeEngine()), lambda: clock[0]).step()
        held = store.find(_hash(ticket))
        found.append((held is not None, bool(held and held[1])))
    assert found == [(True, True), (True, False), (True, False), (False, False)]
    assert request_status(store, ticket) is None


def test_no_ticket_looks_like_an_option(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pharos rights status` takes it as it was told."""
    drawn = iter(["-" + "h" * 42, "h" * 42 + "-"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda length: next(drawn))
    store = RequestStore(spool)
    ticket = ask(store, Planes(b"a secret"), INSTALL, "object", "", NONE)
    assert not ticket.startswith("-")
    assert request_status(store, ticket)


def _hash(ticket: str) -> bytes:
    from hashlib import sha256

    return sha256(ticket.encode()).digest()
