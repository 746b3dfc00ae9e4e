"""The files in `deploy/` against the code: settings, commands, limits, and the contents of the images."""

import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from collector.group_commit import ANSWER_SECONDS
from collector.problems import STATUS, document
from collector.request_body import LIMIT
from collector.validate import Reason, Rejected
from core.home import STATES, derive
from core.settings import Settings, documented
from pharos.cli import cli
from pharos.serve import STOP_SECONDS
from warehouse.connections import QUERY_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"PHAROS_{field.name.upper()}": field for field in documented()}
FILES = ("Caddyfile", "Dockerfile", "compose.yaml", "nginx.conf", "pharos.env.example", "pharos.service")
# The secrets that compose has as files only where they are set.
OPTIONAL = "PHAROS_SMTP_URL", "PHAROS_WEBHOOK_URL", "PHAROS_WEBHOOK_SECRET", "PHAROS_METRICS_TOKEN"
SECRETS = (
    "PHAROS_SECRET",
    "PHAROS_STATES_KEY",
    "PHAROS_INGEST_KEY",
    "PHAROS_ADMIN_PASSWORD",
    "PHAROS_CLICKHOUSE_READERS",
    *OPTIONAL,
)


def read(name: str) -> str:
    """Return a file of `deploy/`."""
    return (DEPLOY / name).read_text(encoding="utf-8")


COMPOSE, DOCKERFILE, NGINX = read("compose.yaml"), read("Dockerfile"), read("nginx.conf")


def services() -> dict[str, str]:
    """The text of each service of compose.yaml. No YAML parser: the tests would be all that needs one."""
    section = COMPOSE.partition("\nservices:\n")[2].partition("\nsecrets:\n")[0]
    return dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)*)", section, re.MULTILINE))


def environment(service: str) -> dict[str, str]:
    """The `PHAROS_` environment that compose gives to a service, with an empty env file."""
    entries = re.findall(r"^      (PHAROS_\w+): (.+)$", services()[service], re.MULTILINE)
    return {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text) for name, text in entries}


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


def secrets_of(name: str) -> list[str]:
    """The secrets that compose mounts into a service."""
    return [
        one
        for line in re.findall(r"^    secrets: \[(.+)\]$", services()[name], re.MULTILINE)
        for one in line.split(", ")
    ]


def made_secrets(folder: Path) -> Path:
    """The folder of secrets that `secrets.sh` makes."""
    shutil.copy(DEPLOY / "secrets.sh", folder)
    subprocess.run([folder / "secrets.sh"], check=True, timeout=60)
    return folder / "secrets"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """A second run changes nothing, and the folder keeps other users of the machine out."""
    made = made_secrets(tmp_path)
    first = {path.name: path.read_text() for path in made.iterdir()}
    optional = [name.removeprefix("PHAROS_").lower() for name in OPTIONAL]
    assert [first.pop(name) for name in optional] == [""] * len(OPTIONAL)
    assert len(set(first.values())) == len(first) == 4
    assert first["states_key"] == derive(first["root_secret"].encode(), STATES).hex()
    assert all(re.fullmatch("[0-9a-f]{64}", first[name]) for name in ("root_secret", "clickhouse_password"))
    assert made.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o644}
    (made / "smtp_url").write_text("smtp://mail.example.com")
    again = {path.name: path.read_text() for path in made_secrets(tmp_path).iterdir()}
    assert again == {**first, **dict.fromkeys(optional, ""), "smtp_url": "smtp://mail.example.com"}


def test_compose_gives_each_service_settings_that_it_starts_with(tmp_path: Path) -> None:
    """With the secrets that `secrets.sh` makes, each service's environment is valid, also outside loopback."""
    made = made_secrets(tmp_path)
    environments = {service: environment(service) for service in ("collector", "loader", "dashboard", "migrate")}
    for service, given in environments.items():
        for name, value in given.items():
            if value.startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in secrets_of(service)
                given[name] = value.replace("/run/secrets", str(made))
    # What migrate writes.
    assert environments["dashboard"].pop("PHAROS_CLICKHOUSE_READERS_FILE").startswith("/var/lib/pharos-readers/")
    collector, loader, dashboard, migrate = map(Settings.from_environ, environments.values())
    assert (str(collector.collector_bind), str(dashboard.dashboard_bind)) == ("0.0.0.0:8000", "0.0.0.0:8050")
    password = (made / "clickhouse_password").read_text()
    assert loader.clickhouse_url == migrate.clickhouse_url == f"http://pharos:{password}@clickhouse:8123/pharos"
    assert dashboard.clickhouse_url == "http://clickhouse:8123/pharos"
    assert collector.trusted_proxies == dashboard.trusted_proxies == 1
    assert len(collector.secret) == 64
    assert (dashboard.smtp_url, dashboard.webhook_url, dashboard.webhook_secret) == ("", "", "")


def test_compose_takes_mail_webhook_and_metrics_from_files(tmp_path: Path) -> None:
    """What an operator writes into the files that `secrets.sh` makes, and names in the env file, is in force."""
    made, given = made_secrets(tmp_path), environment("dashboard")
    values = (
        "smtp://mail.example.com?from=pharos@example.com", "https://example.com/pharos", f"whsec_{'A' * 32}",
        "scrape" * 4,
    )  # fmt: skip
    named = {}
    for name, value in zip(OPTIONAL, values, strict=True):
        file = name.removeprefix("PHAROS_").lower()
        assert given[f"{name}_FILE"] == ""
        assert file in secrets_of("dashboard")
        (made / file).write_text(value)
        named[f"{name}_FILE"] = str(made / file)
    settings = Settings.from_environ(named)
    told = settings.smtp_url, settings.webhook_url, settings.webhook_secret, settings.metrics_token
    assert told == values
    assert environment("collector")["PHAROS_METRICS_TOKEN_FILE"] == ""


def test_compose_passes_on_every_setting_that_is_not_its_own() -> None:
    """Settings of the env file reach the services, except for those that compose sets."""
    passed = set(re.findall(r"\$\{(PHAROS_\w+)", COMPOSE))
    decided = {
        "PHAROS_HOME",
        "PHAROS_COLLECTOR_BIND",
        "PHAROS_DASHBOARD_BIND",
        "PHAROS_CLICKHOUSE_URL",
        "PHAROS_LICENSE_CLICKHOUSE_URL",
        *SECRETS,
    }
    assert passed == set(SETTINGS) - decided | {f"{name}_FILE" for name in OPTIONAL}


def test_compose_keeps_secrets_where_they_are_needed() -> None:
    """The collector cannot reach ClickHouse, the dashboard only reads it, the collector alone has the root secret."""
    assert {name: secrets_of(name) for name in services()} == {
        "clickhouse": ["clickhouse_password"],
        "migrate": ["clickhouse_url"],
        "collector": ["root_secret", "metrics_token"],
        "loader": ["clickhouse_url"],
        "dashboard": ["states_key", "smtp_url", "webhook_url", "webhook_secret", "metrics_token"],
    }
    texts = services()
    assert "CLICKHOUSE" not in texts["collector"]
    assert "back" not in texts["collector"]


def test_compose_passes_secrets_only_as_files() -> None:
    """`docker inspect` shows an environment, and processes and crash reports inherit it."""
    inline = set(re.findall(r"^      (\w+): .+$", COMPOSE, re.MULTILINE))
    assert not inline & {"CLICKHOUSE_PASSWORD", *SECRETS}
    # Without a login.
    assert re.findall(r"PHAROS_CLICKHOUSE_URL: (.+)", COMPOSE) == ["http://clickhouse:8123/pharos"]
    defined = re.findall(r"^  (\w+): \{file: \./secrets/(\w+)\}$", COMPOSE, re.MULTILINE)
    assert {name for name, _ in defined} == {one for service in services() for one in secrets_of(service)}
    assert all(name == file for name, file in defined)


def test_the_images_may_be_pinned_by_digest() -> None:
    """The env file names the images of compose, and the Dockerfile takes its base as an argument."""
    told = dict(re.findall(r"^#(\w+_IMAGE)=(.+)$", read("pharos.env.example"), re.MULTILINE))
    used = dict(re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", COMPOSE))
    assert used == told
    assert set(used) == {"CLICKHOUSE_IMAGE", "SERVER_IMAGE"}
    assert re.search(
        r"^ARG PYTHON_IMAGE=python:[\d.]+-slim\nFROM \$\{PYTHON_IMAGE\} AS base$", DOCKERFILE, re.MULTILINE
    )
    assert "build:" not in COMPOSE


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


def test_compose_gives_the_catalog_to_all_that_read_it() -> None:
    """Collector, loader and dashboard have the setting, and a comment that says how to mount the folder."""
    reading = [name for name in services() if "PHAROS_CATALOG" in environment(name)]
    assert reading == ["collector", "loader", "dashboard"]
    mounting = [name for name, text in services().items() if 'with a catalog "/etc/pharos:/etc/pharos:ro"' in text]
    assert mounting == reading


def test_the_unit_and_the_upgrade_go_by_the_same_link() -> None:
    """The unit runs what `/opt/pharos` leads to: first the folder that it has made, then the one of the upgrade."""
    unit, upgrade = read("pharos.service"), (ROOT / "docs/upgrade.md").read_text(encoding="utf-8")
    (link,) = re.findall(r"^ExecStart=(\S+)/bin/pharos ", unit, re.MULTILINE)
    ((first, linked),) = re.findall(r"^#   ln -s (\S+) (\S+) ", unit, re.MULTILINE)
    assert linked == link
    assert f"#   python3 -m venv {link.replace(Path(link).name, first)}\n" in unit
    assert f"/bin/pip install -c constraints.txt 'build/dist/{first}-py3-none-any.whl[" in unit
    assert first == f"pharos-{version()}"
    ((new, moved),) = re.findall(r"^ln -sfn (\S+) (\S+) ", upgrade, re.MULTILINE)
    assert (moved, new != first) == (link, True)
    assert f"ln -sfn {first} {link}" in upgrade


def version() -> str:
    """The version of Pharos."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["metadata"]["version"]


def stages() -> dict[str, str]:
    """The text of each stage of the Dockerfile."""
    found = re.split(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)[1:]
    return dict(zip(found[1::3], found[2::3], strict=True))


def test_the_images_run_commands_that_exist_as_a_user_without_rights() -> None:
    """Each image runs an existing command as the user pharos, and a health check. The last one is the default."""
    assert list(stages()) == ["base", "install-server", "install-embedded", "embedded", "server"]
    for name in ("embedded", "server"):
        stage = stages()[name]
        assert f"COPY --from=install-{name} /opt/pharos /opt/pharos\nUSER pharos\nHEALTHCHECK" in stage.replace(
            "# For the collector. compose.yaml has other checks for the loader and the dashboard.\n", ""
        )
        assert "RUN" not in stage
        (command,) = re.findall(r'^CMD \["pharos", "(\w+)"\]', stage, re.MULTILINE)
        assert command in cli.commands


def test_the_images_install_only_the_wheel_and_what_has_a_pinned_hash() -> None:
    """pip gets hashes, or the wheel without any index. The images copy nothing else."""
    installs = re.findall(r"pip install (.+)$", DOCKERFILE, re.MULTILINE)
    assert installs == [
        "--require-hashes -r /src/server.txt",
        "--no-deps --no-index --find-links /src pharos",
        "--require-hashes -r /src/embedded.txt",
    ]
    copied = re.findall(r"^COPY (?!--from)(\S+) \S+$", DOCKERFILE, re.MULTILINE)
    assert sorted(copied) == sorted(re.findall(r"^!(.+)$", read("Dockerfile.dockerignore"), re.MULTILINE))


@pytest.mark.parametrize(("image", "extras"), [("server", ("geo",)), ("embedded", ("geo", "embedded"))])
def test_the_pinned_packages_are_those_that_are_tested(image: str, extras: tuple[str, ...]) -> None:
    """Each has its hashes and the version of constraints.txt, and no requirement of setup.cfg is missing."""
    pinned = re.findall(
        r"^([a-z0-9-]+)==([^ ;]+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}[ \\\\]*)+)$", _pins(image), re.MULTILINE
    )
    assert len(pinned) == len(re.findall(r"^[a-z]", _pins(image), re.MULTILINE))
    tested = dict(re.findall(r"^([a-z0-9-]+)==([^ ;\n]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    versions = {name: version for name, version, _ in pinned}
    assert versions.items() <= tested.items()
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = [config["options"]["install_requires"], *(config["options.extras_require"][extra] for extra in extras)]
    assert set(re.findall(r"^([a-z-]+)", "\n".join(wanted), re.MULTILINE)) <= set(versions)


def _pins(image: str) -> str:
    return read(f"requirements/{image}.txt")


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


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (package systemd)"
)
def test_the_unit_is_hardened() -> None:
    """systemd's own rating of the exposure, from 0 to 10, is 1.5: the network, memory that is written and executed."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=16", str(DEPLOY / "pharos.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "Unknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze rates no file")
    assert done.returncode == 0, done.stdout


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
    assert sum("proxy_pass" in way for way in ways) == 5
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
