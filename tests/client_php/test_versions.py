"""The oldest and the newest PHP that the client supports, by npm's `@php-wasm/cli`, and PSR-12."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.client_php.paper import DAY, Collector, Host, accepted, misfits

ROOT = Path(__file__).parents[2]
CLI = ROOT / ".venv" / "php-versions" / "node_modules" / ".bin" / "php-wasm-cli"
oldest_and_newest = pytest.mark.skipif(
    not CLI.exists(), reason="npm could not install @php-wasm/cli (deploy/php_versions.sh)"
)


@pytest.fixture(params=["7.4", "8.5"])
def old_or_new(request: pytest.FixtureRequest, host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PHP", request.param)
    host.php = (str(CLI),)
    version = host.run("echo json_encode(PHP_VERSION);")
    assert version.startswith(request.param)
    return host


@oldest_and_newest
def test_it_counts_sends_retries_and_shows_its_page(old_or_new: Host, collector: Collector) -> None:
    """A count, a failed beacon, its retry and the page: on every PHP, under an error handler that throws."""
    host = old_or_new
    strict = "set_error_handler(function ($level, $text) { throw new ErrorException($text); });"
    collector.will_answer(500)
    collector.will_answer(202, accepted())
    said = host.run(
        f"{strict} $said = [$client->count('export', 2), $client->flush(), $client->tick()->status()];"
        f"$clock::$shift += {DAY}; $said[] = $client->tick()->status(); $client->count('export', 5);"
        "$said[] = $client->preview()['features']; $said[] = strlen($client->page()) > 1000;"
        "$said[] = unserialize(serialize($client))->tick()->status(); $said[] = $client->troubles();"
        "try { echo $undefined; } catch (ErrorException $error) { $said[] = 'theirs'; }"
        "$said[] = error_get_last(); echo json_encode($said);"
    )
    assert said == [True, True, "failed", "sent", {"export": 5}, True, "failed", [], "theirs", None]
    first, again, _ = collector.requests
    assert again.body == first.body
    assert [misfits(request.beacon) for request in collector.requests] == [[], [], []]
    assert first.beacon["features"] == {"export": 2}


def test_the_sources_keep_to_psr_12() -> None:
    """PHP_CodeSniffer finds no error in the client and in the sample addon."""
    phpcs = shutil.which("phpcs")
    if phpcs is None:
        pytest.skip("php-codesniffer is not installed")
    folders = [str(ROOT / "client_sdk" / name) for name in ("php/src", "whmcs")]
    done = subprocess.run([phpcs, "-n", "--standard=PSR12", *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
