"""Whether a request's client has closed its connection."""

import socket
from collections.abc import Iterator

import pytest

from core.client_connection import is_closed
from tests.end_to_end.system import wait_for


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a TCP connection: the client's and ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    with client, ours:
        yield client, ours


def test_an_open_connection_is_not_closed(ends: tuple[socket.socket, socket.socket]) -> None:
    """Also with unread data, and after this side has stopped reading, as it does after ten seconds."""
    client, ours = ends
    assert not is_closed(ours)
    client.sendall(b"more")
    assert not is_closed(ours)
    ours.shutdown(socket.SHUT_RD)
    assert not is_closed(ours)


@pytest.mark.parametrize("linger", [None, b"\1\0\0\0\0\0\0\0"], ids=["close", "reset"])
def test_a_connection_that_the_client_ended_is_closed(
    ends: tuple[socket.socket, socket.socket], linger: bytes | None
) -> None:
    """Also with unread data."""
    client, ours = ends
    client.sendall(b"more")
    if linger:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()
    wait_for(lambda: is_closed(ours), "the end of the connection")


def test_a_connection_that_we_closed_is_closed(ends: tuple[socket.socket, socket.socket]) -> None:
    """Its descriptor may already be that of another connection."""
    _, ours = ends
    ours.close()
    assert is_closed(ours)
