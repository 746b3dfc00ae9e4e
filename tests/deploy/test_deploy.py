"""The files in `deploy/` against the code: settings, commands, limits, and the contents of the images."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest

from collector.group_commit import ANSWER_SECONDS
from collector.problems import STATUS, document
from collector.request_body import LIMIT
from collector.validate import Reason, Rejected
from core.settings import Settings
from pharos.cli import cli
from pharos.serve import STOP_SECONDS
from warehouse.connections import QUERY_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"PHAROS_{field.name.upper()}": field for field in fields(Settings)}
FILES = ("Dockerfile", "compose.yaml", "nginx.conf", "pharos.env.example", "pharos.service")
# Good enough to listen outside loopback.
SECRET = "0123456789abcdef" * 4


def read(name: str) -> str:
    """Return a file of `deploy/`."""
    return (DEPLOY / name).read_text(encoding="utf-8")


COMPOSE, DOCKERFILE, NGINX = read("compose.yaml"), read("Dockerfile"), read("nginx.conf")


def services() -> dict[str, str]:
    """Return the text of each service in compose.yaml. A YAML parser would be needed only here."""
    section = COMPOSE.partition("\nservices:\n")[2].partition("\n# ")[0]
    return dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)*)", section, re.MULTILINE))


def environment(service: str, given: dict[str, str]) -> dict[str, str]:
    """Return the `PHAROS_` environment of a service, with `given` in the env file."""

    def value(match: re.Match[str]) -> str:
        name, kind, default = match[1], match[2], match[3]
        assert kind == ":-" or name in given, f"{name} must be in the env file"
        return given.get(name) or default

    entries = re.findall(r"^      (PHAROS_\w+): (.+)$", services()[service], re.MULTILINE)
    return {name: re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", value, text) for name, text in entries}


def test_the_example_lists_every_setting_with_its_default_and_meaning() -> None:
    """Each setting is in the example, in the code's order, commented out below its description."""
    told = re.findall(r"^# (.+)\n#(PHAROS_\w+)=(.*)$", read("pharos.env.example"), re.MULTILINE)
    assert told == [(field.metadata["doc"], name, str(field.default)) for name, field in SETTINGS.items()]


def test_the_example_is_what_pharos_does_without_it() -> None:
    """The uncommented example equals the default settings."""
    lines = re.findall(r"^#(PHAROS_\w+)=(.*)$", read("pharos.env.example"), re.MULTILINE)
    assert Settings.from_environ(dict(lines)) == Settings()


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_setting_that_does_not_exist(name: str) -> None:
    """Each `PHAROS_...` is a setting, or a setting and `_FILE`."""
    named = {word.removesuffix("_FILE") for word in re.findall(r"PHAROS_[A-Z_]+", read(name))}
    assert named <= set(SETTINGS)


def test_compose_runs_commands_that_exist() -> None:
    """Each service and each health check runs an existing `pharos` command."""
    started = re.findall(r'(?:"CMD", |command: \[)"pharos", "(\w+)"', COMPOSE)
    assert started == ["migrate", "collector", "load", "drain", "dashboard"]
    assert all(isinstance(cli.commands[command], click.Command) for command in started)


def test_compose_gives_each_service_settings_that_it_starts_with() -> None:
    """With the two required secrets the environment of each service is valid."""
    given = {"PHAROS_SECRET": SECRET, "CLICKHOUSE_PASSWORD": SECRET}
    environments = {service: environment(service, given) for service in ("collector", "loader", "dashboard", "migrate")}
    # What migrate writes.
    assert environments["dashboard"].pop("PHAROS_CLICKHOUSE_READERS_FILE").startswith("/var/lib/pharos-readers/")
    collector, loader, dashboard, migrate = map(Settings.from_environ, environments.values())
    assert (str(collector.collector_bind), str(dashboard.dashboard_bind)) == ("0.0.0.0:8000", "0.0.0.0:8050")
    assert loader.clickhouse_url == migrate.clickhouse_url == f"http://pharos:{SECRET}@clickhouse:8123/pharos"
    assert dashboard.clickhouse_url == "http://clickhouse:8123/pharos"
    assert collector.trusted_proxies == dashboard.trusted_proxies == 1


def test_compose_passes_on_every_setting_that_is_not_its_own() -> None:
    """Settings of the env file reach the services, except for those that compose sets."""
    passed = set(re.findall(r"\$\{(PHAROS_\w+)", COMPOSE))
    decided = {
        "PHAROS_HOME",
        "PHAROS_COLLECTOR_BIND",
        "PHAROS_DASHBOARD_BIND",
        "PHAROS_CLICKHOUSE_URL",
        "PHAROS_CLICKHOUSE_READERS",
    }
    assert passed == set(SETTINGS) - decided


def test_compose_keeps_secrets_where_they_are_needed() -> None:
    """The collector has no ClickHouse URL, the dashboard can only read, and only the collector has the root secret."""
    texts = services()
    assert "CLICKHOUSE_PASSWORD" not in texts["dashboard"]
    assert "CLICKHOUSE" not in texts["collector"]
    assert "back" not in texts["collector"]
    assert [name for name, text in texts.items() if "PHAROS_SECRET" in text] == ["collector"]


def test_compose_publishes_on_loopback_alone() -> None:
    """Ports are published on loopback only."""
    ports = re.findall(r"ports: \[(.+)\]", COMPOSE)
    assert ports == ['"127.0.0.1:8000:8000"', '"127.0.0.1:8050:8050"']


def test_compose_loads_from_the_collector_s_spool() -> None:
    """Loader and collector share a home. The dashboard has its own."""
    homes = {name: re.findall(r'"(\w+):/var/lib/pharos"', text) for name, text in services().items()}
    assert homes == {
        "clickhouse": [],
        "migrate": [],
        "collector": ["spool"],
        "loader": ["spool"],
        "dashboard": ["logins"],
    }


def test_the_images_run_commands_that_exist_as_a_user_without_rights() -> None:
    """Each image runs an existing command as the user pharos, with the tested versions."""
    targets = DOCKERFILE.split("\nFROM ")[2:]
    assert [target.split()[2] for target in targets] == ["embedded", "server"]
    for target, extras in zip(targets, ("embedded,geo", "geo"), strict=True):
        assert f"pip install --no-cache-dir -c constraints.txt '.[{extras}]'" in target
        assert target.index("USER pharos") < target.index("CMD")
        assert "HEALTHCHECK" in target
        (command,) = re.findall(r'^CMD \["pharos", "(\w+)"\]', target, re.MULTILINE)
        assert command in cli.commands


def test_the_images_are_made_of_all_that_is_installed() -> None:
    """The images copy every package of setup.cfg, and only existing files."""
    copied = {
        path.removeprefix("./")
        for line in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
        for path in line.split()
    }
    packages = re.findall(r"^    (\w+)\*$", (ROOT / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    assert packages
    assert set(packages) <= copied
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert set(re.findall(r"^!(.+)$", read("Dockerfile.dockerignore"), re.MULTILINE)) == copied


def test_an_installed_package_holds_every_file(tmp_path: Path) -> None:
    """An installed package includes SQL, style sheets, scripts and templates."""
    sources = ("collector", "dashboard", "pharos", "warehouse")
    for name in sources:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run(
        [sys.executable, "-c", "import setuptools; setuptools.setup()", "-q", "build_py", "--build-lib", "built"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=60,
    )
    there = {path.relative_to(tmp_path) for name in sources for path in (tmp_path / name).rglob("*") if path.is_file()}
    built = {path.relative_to(tmp_path / "built") for path in (tmp_path / "built").rglob("*") if path.is_file()}
    assert sorted(map(str, there - built)) == []


def hosts() -> list[str]:
    """Return the TLS servers of nginx.conf: the collector's and the dashboard's."""
    return [
        server for server in re.findall(r"^server \{\n(.*?)^\}", NGINX, re.MULTILINE | re.DOTALL) if "443" in server
    ]


def directives(server: str) -> list[str]:
    """Return the directives of a server, without those of its locations."""
    return re.findall(r"^    (\w[^{}\n]*;)", server, re.MULTILINE)


def test_nginx_writes_nothing_down_and_asks_for_tls_on_both_hosts() -> None:
    """Both hosts log no addresses and send HSTS."""
    for host in hosts():
        assert {"access_log off;", "error_log /var/log/nginx/pharos.error.log alert;"} <= set(directives(host))
        assert 'add_header Strict-Transport-Security "max-age=31536000" always;' in directives(host)


def test_the_unit_limits_what_it_may_take() -> None:
    """The unit limits memory and tasks, writes no core file, and accepts secrets as credentials."""
    unit = read("pharos.service")
    assert {"LimitCORE=0", "MemoryMax=8G", "TasksMax=4096"} <= set(unit.splitlines())
    for file, name in re.findall(r"^#Environment=(PHAROS_\w+)_FILE=%d/(\w+)$", unit, re.MULTILINE):
        assert file in SETTINGS
        assert f"#LoadCredential={name}:/etc/pharos/{name}" in unit


def test_compose_hardens_each_service() -> None:
    """Each service has minimal capabilities, a read-only file system, and limits of memory and processes."""
    for name, text in services().items():
        section = (
            text if name == "clickhouse" else text + COMPOSE.partition("x-pharos: &pharos\n")[2].partition("\n\n")[0]
        )
        for line in (
            "read_only: true",
            "cap_drop: [ALL]",
            "security_opt: [no-new-privileges:true]",
            "pids_limit:",
            "mem_limit:",
        ):
            assert line in section, (name, line)


def test_nginx_leads_to_the_default_addresses() -> None:
    """The upstreams are the default addresses of Pharos."""
    assert re.findall(r"^    server (\S+);", NGINX, re.MULTILINE) == [
        str(Settings().collector_bind),
        str(Settings().dashboard_bind),
    ]


def test_nginx_lets_pharos_say_what_is_too_large() -> None:
    """nginx accepts slightly larger bodies than Pharos and keeps them in memory."""
    (size,) = re.findall(r"client_max_body_size (\d+)k;", NGINX)
    assert LIMIT < int(size) << 10 < LIMIT * 1.2
    assert re.findall(r"client_body_buffer_size (\d+)k;", NGINX) == [size]


def test_nginx_passes_a_post_on_once_and_its_answer_through_memory() -> None:
    """nginx never sends a post twice, and writes no response to a file."""
    collector, _dashboard = hosts()
    assert {"proxy_next_upstream off;", "proxy_max_temp_file_size 0;"} <= set(directives(collector))


def test_nginx_refuses_in_the_collector_s_own_words() -> None:
    """Each error of nginx is the problem document that the collector would send."""
    told = {int(status): json.loads(text) for status, text in re.findall(r"^    (\d+) '(.+)';$", NGINX, re.MULTILINE)}
    for status, text in told.items():
        why = Rejected(Reason(text["reason"]), detail=text["detail"])
        assert (status, text) == (STATUS[why.reason], json.loads(document(why)[1]))
    given = re.findall(r"error_page ([\d ]+?)(?: =(\d+))? /", NGINX)
    assert {int(as_) if as_ else int(code) for codes, as_ in given for code in codes.split()} == set(told)


def test_nginx_vouches_for_one_hop() -> None:
    """Each location appends the client's address and never forwards only the client's own claim."""
    for host in hosts():
        assert "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" in directives(host)
    # A location that sets one header of its own loses those of its host.
    ways = re.findall(r"location [^{]+\{(.*?)\n    \}", NGINX, re.DOTALL)
    assert [way for way in ways if "proxy_set_header" in way] == []
    assert sum("proxy_pass" in way for way in ways) == 4
    assert re.search(r"location = /metrics \{\s+return 404;", NGINX)


def test_nginx_waits_longer_than_pharos_takes() -> None:
    """The timeouts of nginx are longer than those of Pharos."""
    collector, dashboard = (int(seconds) for seconds in re.findall(r"proxy_read_timeout (\d+)s;", NGINX))
    assert collector > ANSWER_SECONDS
    assert dashboard > QUERY_SECONDS


def test_the_unit_stops_pharos_in_its_own_time() -> None:
    """The unit starts an existing command and waits long enough for a clean stop."""
    unit = read("pharos.service")
    (command,) = re.findall(r"^ExecStart=\S+/pharos (\w+)$", unit, re.MULTILINE)
    assert command in cli.commands
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) > STOP_SECONDS
    assert "KillMode=mixed" in unit
