"""The client is two files. A module that was copied in part loses no count, throws nothing, and says what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client_php.paper import Collector, Host

PAGE = "ob_start(); $page = $client->page(); echo json_encode([$page, ob_get_clean()]);"


def missing(rest: Path) -> None:
    rest.unlink()


def of_another_version(rest: Path) -> None:
    text = rest.read_text()
    name = text.split("Acme\\Pharos\\")[1].split(";")[0]
    rest.write_text(text.replace(name, "V0_1_9_0badcafe"))


def cut_short(rest: Path) -> None:
    rest.write_text(rest.read_text()[:50_000])


def no_php(rest: Path) -> None:
    rest.write_text("<html>quota exceeded</html>")


@pytest.mark.parametrize("broken", [missing, of_another_version, cut_short, no_php])
def test_half_a_copy_counts_and_waits(host: Host, collector: Collector, broken: Callable[[Path], None]) -> None:
    """Without its second file the client counts, sends nothing and says why; with it all counts arrive."""
    first, rest = host.files
    whole = rest.read_text()
    host.count(export=1)
    host.tick()
    broken(rest)
    host.count(export=2)
    said = host.run(
        "echo json_encode([$client->tick(), $client->deactivate()->reason(), $client->forget()->reason(),"
        " $client->troubles(), $client->level(), $client->choose('full'), $client->preview(),"
        " $client->explain()['reason'], $client->log(),"
        " $client->request('access')->reason(), $client->requests(), $client->installId()]);"
    )
    assert (said[0]["status"], said[0]["reason"]) == ("failed", "incomplete")
    assert said[1:4] == ["incomplete", "incomplete", ["incomplete"]]
    assert said[4:] == ["off", False, [], "incomplete", [], "incomplete", [], None]
    page, printed = host.run(PAGE)
    assert "second file" in page
    assert printed == ""
    assert len(collector.requests) == 1
    rest.write_text(whole)
    host.sleep(86400)
    assert host.tick()["status"] == "sent"
    assert [beacon.get("features") for beacon in collector.beacons][:2] == [{"export": 1}, {"export": 2}]
    assert first.exists()


def test_another_modules_copy_of_the_version_helps_out(host: Host, collector: Collector, tmp_path: Path) -> None:
    """Two modules ship the same version and the first is half copied: the second's file serves both."""
    first, rest = host.files
    (tmp_path / "other").mkdir()
    for path in (first, rest):
        (tmp_path / "other" / path.name).write_text(path.read_text())
    rest.unlink()
    other = str(tmp_path / "other" / "pharos.php")
    assert host.run(f"require_once {other!r}; echo json_encode($client->tick()->status());") == "sent"


@pytest.mark.parametrize("options", ["'consent' => 'full'", ""])
def test_a_page_that_counts_loads_one_file(host: Host, options: str) -> None:
    """Counting and its write at the end of the request do without the second file, whatever the owner has chosen."""
    code = (
        "$client->count('export'); register_shutdown_function(function () { register_shutdown_function(function () {"
        "echo json_encode(array_map('basename', get_included_files())); }); });"
    )
    host.options = options
    for level in ("full", "license", "off"):
        assert host.run(f"echo json_encode($client->choose({level!r}));") is True
        assert host.run(code) == ["script.php", "pharos.php"]
    host.options = ""
    host.run("$client->forget(); echo 1;")
    assert host.run(code) == ["script.php", "pharos.php"]
