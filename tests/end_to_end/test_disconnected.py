"""A client that disconnects while its question runs: the query ends in ClickHouse, and its turn is free."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from dashboard.question_limit import EACH
from tests.end_to_end.system import ENGINES, PASSWORD, System, clickhouse_url, fetch, wait_for


class EndlessDashboard(System):
    """A dashboard whose questions end only when they are cancelled."""

    def __init__(self, home: Path, url: str) -> None:
        super().__init__(home, url, PHAROS_QUERY_SECONDS="60")

    def start(self, figures: str = "/readyz") -> None:
        """Start it and wait until figures can be read."""
        if self.environ["PHAROS_CLICKHOUSE_URL"]:
            assert self.run("migrate").returncode == 0
        with (self.home.parent / f"{self.home.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.end_to_end.endless_dashboard"], env=self.environ, stdout=log, stderr=log
            )
        wait_for(lambda: self.answers(self.dashboard, figures), "the dashboard", 180)

    def token(self) -> str:
        """A new token that the dashboard knows."""
        token = self.run("tokens", "new", "--role", "admin").stdout.decode().strip()
        wait_for(lambda: fetch(self._request("feature_installs", token))[0] == 200, "the token to be known")
        return token

    def running(self, token: str) -> int:
        """How many questions run in ClickHouse."""
        status, answer = fetch(self._request("feature_installs", token))
        assert status == 200, answer
        return int(answer["running"])

    def ask(self, token: str) -> socket.socket:
        """Send a question; returns the connection."""
        return self._send("GET /api/v1/metrics/installs HTTP/1.1", f"Authorization: Bearer {token}")

    def open_chart(self) -> socket.socket:
        """Log in and send the callback of a chart; returns the connection."""
        cookies = CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        form = browser.open(f"{self.dashboard}/login").read().decode()
        (token,) = re.findall(r'name="token" value="([^"]+)"', form)
        login = urlencode({"name": "admin", "password": PASSWORD, "token": token}).encode()
        assert browser.open(f"{self.dashboard}/login", login).status == 200
        known = json.loads(browser.open(f"{self.dashboard}/_dash-dependencies").read())
        (output,) = [one["output"] for one in known if one["output"].startswith("..installs_by_version-message.")]
        names = [name.rpartition(".") for name in output.strip(".").split("...")]
        body = {
            "output": output,
            "outputs": [{"id": name, "property": of} for name, _, of in names],
            "inputs": [{"id": "url", "property": "search", "value": ""}],
            "state": [],
        }
        cookie = "; ".join(f"{one.name}={one.value}" for one in cookies)
        return self._send("POST /_dash-update-component HTTP/1.1", f"Cookie: {cookie}", json.dumps(body))

    def _request(self, metric: str, token: str) -> urllib.request.Request:
        return urllib.request.Request(
            f"{self.dashboard}/api/v1/metrics/{metric}", headers={"Authorization": f"Bearer {token}"}
        )

    def _send(self, line: str, header: str, body: str = "") -> socket.socket:
        url = urlsplit(self.dashboard)
        connection = socket.create_connection((url.hostname or "", url.port or 0), timeout=60)
        headers = f"Host: {url.netloc}\r\n{header}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{line}\r\n{headers}\r\n{body}".encode())
        return connection


@pytest.fixture(scope="module", params=ENGINES)
def dashboard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndlessDashboard]:
    started = EndlessDashboard(tmp_path_factory.mktemp("disconnected") / "home", clickhouse_url(request.param))
    try:
        started.start()
        yield started
    finally:
        if started.process is not None:
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(60)


def test_a_question_whose_client_is_gone_ends_in_clickhouse(dashboard: EndlessDashboard) -> None:
    """Closed or reset; the questions of others go on."""
    watcher, other = dashboard.token(), dashboard.token()
    with dashboard.ask(other) as stays:
        wait_for(lambda: dashboard.running(watcher) == 1, "the question of another client")
        for linger in (False, True):
            connection = dashboard.ask(watcher)
            wait_for(lambda: dashboard.running(watcher) == 2, "the question to run")
            if linger:  # close with a reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            wait_for(lambda: dashboard.running(watcher) == 1, "the question to end", 30)
        stays.setblocking(False)
        with pytest.raises(BlockingIOError):
            stays.recv(1)
    wait_for(lambda: dashboard.running(watcher) == 0, "the last question to end", 30)


def test_clients_that_are_gone_take_no_turns(dashboard: EndlessDashboard) -> None:
    """A token whose clients have left more questions than it has turns gets an answer."""
    watcher, token = dashboard.token(), dashboard.token()
    with contextlib.ExitStack() as stack:
        for _ in range(3 * EACH):
            stack.enter_context(dashboard.ask(token))
        wait_for(lambda: dashboard.running(watcher) == EACH, "the questions")
    assert dashboard.running(token) <= EACH
    wait_for(lambda: dashboard.running(token) == 0, "the questions to end", 30)


def test_a_chart_whose_browser_is_gone_ends_in_clickhouse(dashboard: EndlessDashboard) -> None:
    """The callbacks of pages are cancelled as the questions of the read API are."""
    watcher = dashboard.token()
    connection = dashboard.open_chart()
    wait_for(lambda: dashboard.running(watcher) == 1, "the chart's question")
    connection.close()
    wait_for(lambda: dashboard.running(watcher) == 0, "the chart's question to end", 30)


def test_clickhouse_is_not_reported_as_failing(dashboard: EndlessDashboard) -> None:
    """A cancelled question is no failure of ClickHouse, and the next question is answered."""
    watcher = dashboard.token()
    connection = dashboard.ask(watcher)
    wait_for(lambda: dashboard.running(watcher) == 1, "the question to run")
    connection.close()
    wait_for(lambda: dashboard.running(watcher) == 0, "the question to end", 30)
    assert dashboard.answers(dashboard.dashboard, "/readyz")
    assert not re.search(r'"level":"(?!info")', dashboard.log())
