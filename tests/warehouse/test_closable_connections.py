"""An HTTP connection that another thread closes, with and without TLS."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from tests.end_to_end.system import wait_for
from warehouse.closable_connections import ClosableConnections


class SilentServer:
    """Reads the requests of one connection and never answers. Further connections are never accepted."""

    def __init__(self, certificate: Path | None) -> None:
        self.requests = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate:
            self._context.load_cert_chain(certificate)
        self._tls = certificate is not None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._socket.getsockname()[1]}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        # The other side closes the connection without an end of TLS.
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            if self._tls:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                while connection.recv(1 << 16):
                    self.requests += 1


@pytest.fixture(params=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SilentServer]:
    certificate = tmp_path / "server.pem" if request.param == "https" else None
    if certificate:
        make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
        subprocess.run([*make.split(), "-keyout", certificate, "-out", tmp_path / "cert.pem"], check=True, timeout=60)
        certificate.write_text(certificate.read_text() + (tmp_path / "cert.pem").read_text())
    started = SilentServer(certificate)
    yield started
    started.close()


@pytest.mark.filterwarnings("ignore:Unverified HTTPS")
def test_a_closed_connection_ends_the_request_and_is_not_opened_again(server: SilentServer) -> None:
    """The thread that waits for the answer goes on at once; a repetition of the request is not sent."""
    pools = urllib3.PoolManager(cert_reqs="CERT_NONE")
    connections = ClosableConnections(pools)
    failures: list[Exception] = []

    def ask() -> None:
        try:
            pools.request("GET", server.url, retries=3, timeout=600)
        except Exception as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: server.requests == 1, "the request")
    connections.close()
    asking.join(60)
    assert len(failures) == 1
    assert isinstance(failures[0], urllib3.exceptions.HTTPError)
    assert server.requests == 1
