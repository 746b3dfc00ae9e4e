"""ClickHouse as `deploy/compose.yaml` configures it, with bounded logs and memory. Needs CLICKHOUSE_BINARY."""

import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.end_to_end.system import free_ports, wait_for

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted(path.relative_to(DEPLOY / "clickhouse") for path in (DEPLOY / "clickhouse").rglob("*.xml"))
# What config.xml of the image switches on, of 24.10 and of later versions.
OF_THE_IMAGE = (
    "asynchronous_insert_log",
    "asynchronous_metric_log",
    "background_schedule_pool_log",
    "backup_log",
    "blob_storage_log",
    "crash_log",
    "error_log",
    "latency_log",
    "metric_log",
    "opentelemetry_span_log",
    "part_log",
    "processors_profile_log",
    "query_log",
    "query_metric_log",
    "query_thread_log",
    "query_views_log",
    "s3queue_log",
    "text_log",
    "trace_log",
)
DAYS = {"crash_log": 30, "error_log": 7, "query_log": 3}
CONFIG = """<clickhouse>
    <logger><level>trace</level><log>{folder}/server.log</log><errorlog>{folder}/error.log</errorlog></logger>
    <listen_host>127.0.0.1</listen_host><http_port>{port}</http_port>
    <path>{folder}/data/</path>
    <user_directories><users_xml><path>{folder}/users.xml</path></users_xml></user_directories>
    {logs}
</clickhouse>
"""
LOG = """<{0}><database>system</database><table>{0}</table><partition_by>toYYYYMM(event_date)</partition_by></{0}>"""
USERS = """<clickhouse>
    <profiles><default/></profiles><quotas><default/></quotas>
    <users><default>
        <password/><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
    </default></users>
</clickhouse>
"""


class Server:
    """A ClickHouse server with the image's configuration and ours, mounted as in compose."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}/"
        for file in FILES:
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes((DEPLOY / "clickhouse" / file).read_bytes())
        logs = "".join(LOG.format(name) for name in OF_THE_IMAGE)
        (folder / "config.xml").write_text(CONFIG.format(folder=folder, port=port, logs=logs))
        (folder / "users.xml").write_text(USERS)
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [os.environ["CLICKHOUSE_BINARY"], "server", f"--config-file={folder}/config.xml"],
                cwd=folder,
                env=os.environ | {"CLICKHOUSE_WATCHDOG_ENABLE": "0"},
                stdout=output,
                stderr=output,
            )

    def answers(self) -> bool:
        """Return whether the server responds. Fails if it has exited."""
        assert self.process.poll() is None, "the server does not start with our configuration"
        try:
            return self.ask("SELECT 1") == [["1"]]
        except OSError:
            return False

    def ask(self, sql: str) -> list[list[str]]:
        """Return the rows of a result, or the text of an error."""
        try:
            with urllib.request.urlopen(self.url, sql.encode(), timeout=60) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as refused:
            text = refused.read().decode()
        return [line.split("\t") for line in text.splitlines()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if "CLICKHOUSE_BINARY" not in os.environ:
        pytest.skip("needs CLICKHOUSE_BINARY")
    server = Server(tmp_path_factory.mktemp("clickhouse"))
    try:
        wait_for(server.answers, "ClickHouse to answer", 60)
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)


def test_compose_mounts_each_file_where_the_image_reads_it() -> None:
    """Each file is mounted separately and read-only, because the image has its own files in both folders."""
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    mounted = re.findall(r'^      - "\./clickhouse/(\S+):/etc/clickhouse-server/(\S+):ro"$', compose, re.MULTILINE)
    assert sorted(mounted) == [(str(file), str(file)) for file in FILES]
    assert {file.parts[0] for file in FILES} == {"config.d", "users.d"}


def test_compose_names_a_release_of_clickhouse() -> None:
    """The image is a long-term release (March or August), with a fixed version."""
    compose = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (year, month) = re.findall(
        r"image: \$\{CLICKHOUSE_IMAGE:-clickhouse/clickhouse-server:(\d+)\.(\d+)\}$", compose, re.MULTILINE
    )[0]
    assert int(year) >= 26
    assert month in ("3", "8")


def test_what_the_image_logs_is_switched_off_or_leaves_after_days() -> None:
    """Each log table of the image is disabled or has a TTL."""
    logs = ElementTree.parse(DEPLOY / "clickhouse/config.d/logs.xml").getroot()
    for name in OF_THE_IMAGE:
        entry = logs.find(name)
        assert entry is not None, name
        if name in DAYS:
            assert entry.findtext("ttl") == f"event_date + INTERVAL {DAYS[name]} DAY DELETE"
        else:
            assert entry.get("remove") == "1", name


@pytest.mark.server
def test_a_server_keeps_three_logs_and_those_for_days(server: Server) -> None:
    """The server creates no other log tables, also after queries and errors."""
    assert "Code: 395" in str(server.ask("SELECT throwIf(1)"))
    assert server.ask("SYSTEM FLUSH LOGS") == []
    tables = server.ask(
        "SELECT name, extract(create_table_query, 'TTL event_date \\+ toIntervalDay\\((\\d+)\\)') FROM system.tables"
        " WHERE database = 'system' AND engine LIKE '%MergeTree' ORDER BY name"
    )
    assert {name: int(days or 0) for name, days in tables}.items() <= DAYS.items()
    assert ["query_log", "3"] in tables


@pytest.mark.server
def test_a_server_s_memory_is_bounded(server: Server) -> None:
    """The server, its caches and each query have limits for a machine of 4 GB. A larger query is refused."""
    limits = dict(server.ask("SELECT name, value FROM system.server_settings"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < int(limits["max_server_memory_usage"]) <= 0.6 * memory
    assert float(limits["cache_size_to_ram_max_ratio"]) == 0.05
    assert int(limits["background_pool_size"]) == 4
    settings = dict(server.ask("SELECT name, value FROM system.settings"))
    assert 0 < int(settings["max_bytes_before_external_group_by"]) < int(settings["max_memory_usage"]) < 0.6 * (4 << 30)
    refused = server.ask("SELECT groupArray(number) FROM numbers(1000000000) SETTINGS max_threads = 1 FORMAT Null")
    assert "Memory limit (for query) exceeded" in str(refused)
