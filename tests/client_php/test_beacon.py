"""What the PHP client sends: the contract's fields, nothing of the host's secrets, and the truth about the license."""

import hashlib
import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.client_php.paper import DAY, KEY, LICENSE_KEY, Collector, Host, misfits


def test_a_beacon_fits_the_contract(host: Host, collector: Collector) -> None:
    """The first beacon has exactly the contract's fields, each of its pattern."""
    host.count(**{"invoice.pdf_export": 12, "bulk_email": 1})
    answer = host.tick(
        "'version' => '3.2.1', 'policy' => '2021-08', 'source' => 'whmcs-addon-modules',"
        f"'license' => static fn () => ['status' => 'Active', 'key' => {LICENSE_KEY!r}],"
        "'platform' => static fn () => ['whmcs' => '9.0.1', 'database' => 'mariadb-10.11']"
    )
    assert answer["status"] == "sent"
    assert answer["reason"] is None
    assert answer["accepted"] == 1
    [request] = collector.requests
    beacon = request.beacon
    assert misfits(beacon) == []
    assert request.path == "/v1/beacons"
    assert beacon["schema"] == 1
    assert beacon["reason"] == "activate"
    assert beacon["module"] == {"name": "invoice_pro", "version": "3.2.1"}
    assert beacon["consent"] == {"level": "full", "policy": "2021-08"}
    assert beacon["license"] == {
        "status": "licensed",
        "source": "whmcs-addon-modules",
        "key_hash": hashlib.sha256(LICENSE_KEY.encode()).hexdigest(),
    }
    assert beacon["features"] == {"invoice.pdf_export": 12, "bulk_email": 1}
    assert beacon["server"]["os"]["family"] == "linux"
    assert beacon["platform"]["sapi"] == "cli"
    assert beacon["platform"]["whmcs"] == "9.0.1"
    assert beacon["platform"]["database"] == "mariadb-10.11"


def test_the_request_says_who_it_is_and_carries_nothing_else(host: Host, collector: Collector) -> None:
    """The request has the ingest key, the media type and its own user agent, and no cookie."""
    host.tick()
    headers = collector.requests[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["content-type"] == "application/json"
    assert re.fullmatch(r"pharos-php/\d+\.\d+\.\d+", headers["user-agent"])
    assert headers.keys() == {"host", "accept", "authorization", "content-type", "content-length", "user-agent"}


@pytest.mark.parametrize(
    ("license", "status"),
    [
        ("'Active'", "licensed"),
        ("['status' => 'Active']", "licensed"),
        ("'licensed'", "licensed"),
        ("'trial'", "trial"),
        ("['status' => 'Invalid']", "invalid"),
        ("['status' => 'Expired']", "expired"),
        ("['status' => 'Suspended']", "suspended"),
        ("['status' => 'Cancelled']", "unknown"),
        ("static function () { throw new RuntimeException('the license server is down'); }", "unknown"),
        ("static function () { return []; }", "unknown"),
        ("null", "unknown"),
        ("true", "unknown"),
        ("'phpversion'", "unknown"),
    ],
)
def test_unknown_never_claims_licensed(host: Host, collector: Collector, license: str, status: str) -> None:
    """Only a license that says so is licensed: a pirate, a broken check and silence are not."""
    assert host.tick(f"'license' => {license}")["status"] == "sent"
    assert collector.requests[0].beacon["license"]["status"] == status


def test_the_license_key_stays_at_home(host: Host, collector: Collector) -> None:
    """The license key is in no file, header or body, only its SHA-256."""
    collector.will_answer(500)
    host.tick(f"'license' => ['status' => 'Active', 'key' => {LICENSE_KEY!r}]")
    [request] = collector.requests
    assert request.beacon["license"]["key_hash"] == hashlib.sha256(LICENSE_KEY.encode()).hexdigest()
    assert LICENSE_KEY not in request.body + json.dumps(request.headers)
    files = [path for path in host.state.rglob("*") if path.is_file()]
    assert len(files) > 4
    for file in files:
        assert LICENSE_KEY not in file.read_text()


def test_dumps_and_copies_hide_the_keys(host: Host) -> None:
    """var_dump, print_r, serialize and json_encode of a client show neither the ingest key nor the license key."""
    said = host.run(
        "ob_start(); var_dump($client); print_r($client); echo serialize($client), json_encode($client);"
        "$text = ob_get_clean(); $copy = unserialize(serialize($client));"
        "echo json_encode([$text, $copy->tick()->status(), $copy->count('a')]);",
        f"'license' => ['status' => 'Active', 'key' => {LICENSE_KEY!r}], 'log' => static function () {{}}",
    )
    assert said[1:] == ["failed", False]
    assert KEY not in said[0]
    assert LICENSE_KEY not in said[0]


def test_odd_values_are_fitted_or_left_out(host: Host, collector: Collector) -> None:
    """One odd value from the host costs at most itself, never the beacon."""
    answer = host.tick(
        "'version' => ' (beta) 3.2.1 für alle, immer und noch viel länger als das ', 'license' => 'maybe',"
        "'source' => 'Übersee / Shop', 'policy' => ['x'],"
        "'platform' => ['whmcs' => '9.0.1 (stable)', 'database' => '', 'php' => 'mine', 'secret' => 'path']"
    )
    assert answer["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    assert beacon["platform"]["whmcs"] == "9.0.1-stable"
    assert "database" not in beacon["platform"]
    assert "secret" not in beacon["platform"]
    assert beacon["license"] == {"status": "unknown", "source": "bersee-shop"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("Acme\\Pharos\\Client::module('Invoice Pro', $options)", "bad_module"),
        ("Acme\\Pharos\\Client::module(null, $options)", "bad_module"),
        ("Acme\\Pharos\\Client::module(['x'], 5)", "bad_module"),
        ("Acme\\Pharos\\Client::module('invoice_pro')", "no_store"),
        ("Acme\\Pharos\\Client::module('invoice_pro', ['state' => []])", "no_store"),
        ("Acme\\Pharos\\Client::module('invoice_pro', ['store' => new stdClass()])", "no_store"),
    ],
)
def test_a_wrong_option_is_a_failure_that_names_it(host: Host, collector: Collector, code: str, reason: str) -> None:
    """A client made of wrong options does nothing, throws nothing, and says which."""
    said = host.run(
        f"$c = {code}; echo json_encode([$c->tick()->reason(), $c->page() !== '', $c->installId(),"
        "$c->forget()->status(), is_array($c->preview()), is_bool($c->count('a'))]);"
    )
    assert said[0] == reason
    assert said[1] is True
    assert collector.requests == []


def test_the_hosts_error_handler_is_left_alone(host: Host) -> None:
    """A host whose error handler throws sees neither warning nor exception, and has its handler back afterwards."""
    said = host.run(
        "set_error_handler(function ($level, $text) { throw new ErrorException($text); });"
        "$said = [];"
        "foreach ([__FILE__ . '/x', __DIR__ . '/no/such/folder'] as $folder) {"
        " $c = Acme\\Pharos\\Client::module('m', ['state' => $folder, 'consent' => 'full']);"
        " $said[] = [$c->count('a'), $c->flush(), $c->tick()->status(), $c->installId(), $c->page() !== ''];"
        "}"
        "try { echo $undefined; } catch (ErrorException $error) { $said[] = 'theirs'; }"
        "echo json_encode([$said, error_get_last()]);"
    )
    assert said == [[[True, False, "failed", None, True], [True, False, "failed", None, True], "theirs"], None]


def test_the_web_server_seen_by_pages_is_told_by_cron(host: Host, collector: Collector) -> None:
    """The cron's beacon reports the web server, PHP and SAPI that the pages run on."""
    script = host.script(
        "$_SERVER['SERVER_SOFTWARE'] = 'Apache/2.4.57 (Debian)'; echo json_encode($client->count('page'));"
    )
    page = script.rename(script.with_name("page.php"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["php", "-S", f"127.0.0.1:{port}", "-t", str(page.parent)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert get(f"http://127.0.0.1:{port}/page.php") == "true"
    finally:
        server.terminate()
        server.wait(10)
    host.tick()
    beacon = collector.requests[0].beacon
    assert (beacon["platform"]["web_server"], beacon["platform"]["sapi"]) == ("apache-2.4", "cli-server")
    assert beacon["features"] == {"page": 1}


def get(url: str) -> str:
    for _ in range(100):
        try:
            with urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError as error:
            if not isinstance(getattr(error, "reason", error), ConnectionError):
                raise
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.parametrize(
    ("software", "known"),
    [
        ("Apache/2.4.57 (Debian) OpenSSL/3.0", "apache-2.4"),
        ("nginx/1.22.1", "nginx-1.22"),
        ("LiteSpeed", "litespeed"),
        ("Microsoft-IIS/10.0", "microsoft-iis-10.0"),
        ("<script>", None),
        ("", None),
    ],
)
def test_the_web_server_is_named_by_its_minor_version(
    host: Host, collector: Collector, software: str, known: str | None
) -> None:
    """SERVER_SOFTWARE is cut to the name and the minor version, or left out."""
    host.run(f"$_SERVER['SERVER_SOFTWARE'] = {software!r}; echo json_encode($client->tick());")
    assert collector.requests[0].beacon["platform"].get("web_server") == known


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("10.11.6-MariaDB-0+deb12u1", "mariadb-10.11"),
        ("5.5.5-10.6.12-MariaDB", "mariadb-10.6"),
        ("8.0.36-0ubuntu0.22.04.1", "mysql-8.0"),
    ],
)
def test_the_database_is_named_by_what_it_calls_itself(host: Host, version: str, name: str) -> None:
    """The answer to SELECT VERSION() becomes name and series."""
    load = "$rest = $inner . '\\Rest'; $rest::load(); $machine = $inner . '\\Machine';"
    assert host.run(f"{load} echo json_encode($machine::database({version!r}));") == name


def test_a_forbidding_php_still_sends(host: Host, collector: Collector) -> None:
    """With open_basedir and the usual disabled functions the beacon goes out, and what cannot be seen is unknown."""
    basedir = f"open_basedir={host.folder}"
    disabled = "disable_functions=exec,shell_exec,system,passthru,popen,proc_open,php_uname,putenv,getmypid"
    host.count(export=1)
    assert host.tick(ini=("-d", basedir, "-d", disabled))["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    assert beacon["server"] == {"os": {"family": "linux"}, "virtualization": {"type": "unknown"}}
    assert beacon["features"] == {"export": 1}


@pytest.mark.parametrize(
    "disabled",
    ["chmod", "curl_exec", "proc_open", "set_error_handler", "umask", "posix_geteuid", "fsync", "getenv,putenv",
     "register_shutdown_function", "fileowner,filegroup", "touch", "scandir", "glob", "php_uname",
     "chmod,umask,curl_init,proc_open,set_error_handler,restore_error_handler,chown"],
)  # fmt: skip
def test_one_missing_function_ends_nothing(host: Host, collector: Collector, disabled: str) -> None:
    """Counts and beacons survive the functions that hosts like to disable, and nothing is printed."""
    ini = ("-d", f"disable_functions={disabled}")
    assert host.run("echo json_encode($client->count('export', 2));", ini=ini) is True
    assert host.tick(ini=ini)["status"] == "sent"
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    assert beacon["features"] == {"export": 2}


@pytest.mark.parametrize(
    "function", ["flock", "rename", "mkdir", "hash_hmac", "scandir,glob", "file_get_contents", "strtotime"]
)
def test_a_function_that_nothing_works_without_is_named(host: Host, collector: Collector, function: str) -> None:
    """Where a host has disabled what cannot be replaced the run and the page say which, and the counts wait."""
    host.tick()
    ini = ("-d", f"disable_functions={function}")
    host.run("echo json_encode($client->count('export', 2));", ini=ini)
    host.sleep(DAY)
    assert host.tick(ini=ini)["reason"] == "missing_function"
    assert host.run("echo json_encode($client->troubles());", ini=ini) == [f"missing_function {function.split(',')[0]}"]
    host.count(export=3)
    assert host.tick()["status"] == "sent"
    assert sum(beacon.get("features", {}).get("export", 0) for beacon in collector.beacons) == 5


def test_without_programs_the_files_tell(host: Host, collector: Collector) -> None:
    """Where proc_open is forbidden the virtualization comes from files, or is unknown."""
    host.tick(ini=("-d", "disable_functions=exec,proc_open,shell_exec"))
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    assert beacon["server"]["virtualization"].get("detection") in {None, "cgroup", "dockerenv", "dmi", "cpuinfo"}


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("echo kvm", {"type": "kvm", "detection": "systemd-detect-virt"}),
        ("echo none; exit 1", {"type": "none", "detection": "systemd-detect-virt"}),
        ("echo tomorrows-hypervisor", {"type": "other", "detection": "systemd-detect-virt"}),
        ("exec sleep 60", None),
        ("sleep 60", None),
        ("yes", None),
        ("exit 0", None),
    ],
)
def test_systemd_detect_virt_is_asked_but_not_waited_for(
    host: Host, collector: Collector, tmp_path: Path, program: str, found: object
) -> None:
    """The program's word is taken when it has one, and it is killed when it does not come to the point."""
    fake = tmp_path / "bin" / "systemd-detect-virt"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{program}\n")
    fake.chmod(0o755)
    started = time.monotonic()
    assert host.tick(PATH=f"{fake.parent}:{os.environ['PATH']}")["status"] == "sent"
    assert time.monotonic() - started < 10  # half of one in quiet; the program would run for 60
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    if found is not None:
        assert beacon["server"]["virtualization"] == found


@pytest.mark.parametrize(
    ("family", "name", "release", "arch", "told"),
    [
        ("Windows", "Windows NT", "10.0", "AMD64", {"name": "windows-nt", "version": "10.0", "arch": "amd64"}),
        ("BSD", "FreeBSD", "14.1-RELEASE", "amd64", {"name": "freebsd", "version": "14.1-RELEASE", "arch": "amd64"}),
        ("Darwin", "Darwin", "24.0.0", "arm64", {"name": "darwin", "version": "24.0.0", "arch": "arm64"}),
        ("Solaris", "SunOS", "5.11", "i86pc", {"family": "other", "name": "sunos", "version": "5.11", "arch": "i86pc"}),
    ],
)
def test_another_system_is_not_looked_at_as_linux(
    host: Host, collector: Collector, family: str, name: str, release: str, arch: str, told: dict[str, str]
) -> None:
    """Elsewhere PHP's own word is taken, and neither a program is run nor a file of Linux read; without posix too."""
    stub = host.folder / "stub.php"
    stub.write_text(
        "<?php\nnamespace INNER;\n"
        f"const PHP_OS_FAMILY = {family!r};\n"
        f"function php_uname($mode) {{ return ['s' => {name!r}, 'r' => {release!r}, 'm' => {arch!r}][$mode]; }}\n"
        "function proc_open() { exit('a program was run'); }\n"
        "function file_get_contents($path, ...$more) {\n"
        "    preg_match('~^/(proc|sys|etc|usr)/~', $path) && exit(\"$path was read\");\n"
        "    return \\file_get_contents($path, ...$more);\n}\n"
    )
    stubbed = (
        f"$stub = {str(stub)!r}; file_put_contents($stub, str_replace('INNER', $inner, file_get_contents($stub)));"
        "require $stub;"
    )
    ini = ("-d", "disable_functions=posix_geteuid,posix_getpid,umask,fsync,chown,chgrp")
    said = host.run(
        f"{stubbed} $client->count('export', 2); echo json_encode([$client->tick()->status(), $client->troubles()]);",
        ini=ini,
    )
    assert said == ["sent", []]
    beacon = collector.requests[0].beacon
    assert misfits(beacon) == []
    assert beacon["server"]["os"] == {"family": family.lower(), **told}
    assert beacon["server"]["virtualization"] == {"type": "unknown"}
    assert beacon["features"] == {"export": 2}


def test_the_machine_is_looked_at_once_a_day(host: Host) -> None:
    """What was found is kept for a day: the cron starts no program every five minutes."""
    host.tick()
    first = host.kept()["machine"]["at"]
    host.sleep(300)
    host.tick()
    assert host.kept()["machine"]["at"] == first
    host.sleep(90000)
    host.tick()
    assert host.kept()["machine"]["at"] > first
