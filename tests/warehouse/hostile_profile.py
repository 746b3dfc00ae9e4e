"""Run a command while every user of the ClickHouse server has a hostile profile: each setting is what hurts most.

python -m tests.warehouse.hostile_profile pytest tests/warehouse -m server
"""

import os
import subprocess
import sys
from urllib.parse import unquote, urlsplit

import clickhouse_connect

from warehouse.identifiers import on_cluster
from warehouse.statement_settings import PINNED

PROFILE = "pharos_hostile"
# What a boolean or a count becomes is the opposite of what Pharos sends. The others:
HOSTILE: dict[str, str | int] = {
    "compatibility": "20.3",
    "date_time_input_format": "best_effort",
    "date_time_output_format": "iso",
    "date_time_overflow_behavior": "saturate",
    "distributed_ddl_output_mode": "never_throw",
    "distributed_product_mode": "global",
    "join_default_strictness": "ANY",
    "limit": 1,
    "max_insert_block_size": 2,
    "min_insert_block_size_bytes": 1,
    "min_insert_block_size_rows": 1,
    "query_cache_nondeterministic_function_handling": "save",
    "query_cache_system_table_handling": "save",
    "session_timezone": "Pacific/Auckland",
    # Not pinned, and no reason to answer differently:
    "max_threads": 1,
}
# Each of these breaks a client before it can send settings of its own: it cannot connect, and says so.
_LEFT_OUT = (
    "implicit_transaction",
    "offset",
    "output_format_native_encode_types_in_binary_format",
    *(name for name, value in PINNED.items() if value == "throw"),
)


def settings() -> dict[str, str | int]:
    """Return a hostile value for each setting that Pharos sends."""
    opposites = {name: int(not value) for name, value in PINNED.items() if name not in _LEFT_OUT}
    return opposites | HOSTILE


def main(command: list[str]) -> int:
    """Run the command under the profile; return its exit status."""
    url = urlsplit(os.environ["CLICKHOUSE_URL"])
    client = clickhouse_connect.get_client(
        host=url.hostname,
        port=url.port,
        username=unquote(url.username or "default"),
        password=unquote(url.password or ""),
    )
    client.set_client_setting("use_query_cache", 0)
    cluster = on_cluster(os.environ.get("CLICKHOUSE_CLUSTER", ""))
    listed = ", ".join(f"{name} = {value!r}" for name, value in settings().items())
    client.command(f"CREATE SETTINGS PROFILE OR REPLACE {PROFILE}{cluster} SETTINGS {listed} TO ALL")
    try:
        return subprocess.call(command)
    finally:
        client.command(f"DROP SETTINGS PROFILE {PROFILE}{cluster}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
