"""What a vendor could do without a collector: let modules post to ClickHouse's own HTTP port. Needs CLICKHOUSE_URL.

With `async_insert` the server gathers the beacons of several requests, and answers when they are in a part. Without it
each request is an insert. Neither flushes to the disk before it answers, checks a beacon, or counts a retry once.
"""

import os
import urllib.request
import uuid
from urllib.parse import quote, urlsplit

from tests.bench import load
from tests.bench.ingestion import MANY, SINGLES, Run, checked, fresh_bodies, table
from tests.bench.processes import cpu


def main() -> None:
    """Post the same beacons in both ways."""
    if "CLICKHOUSE_URL" not in os.environ:
        print("not measured: CLICKHOUSE_URL is not set")
        return
    server = urlsplit(os.environ["CLICKHOUSE_URL"])
    pid, name, bodies = int(os.environ["CLICKHOUSE_PID"]), f"bench_{uuid.uuid4().hex[:12]}", fresh_bodies()
    _ask(f"CREATE DATABASE {name}")
    try:
        _ask(f"CREATE TABLE {name}.beacons (body String) ENGINE = MergeTree ORDER BY tuple()")
        statement = quote(f"INSERT INTO {name}.beacons FORMAT JSONAsString")
        runs = {}
        for way, settings, count in (
            ("async_insert", "async_insert=1&wait_for_async_insert=1", SINGLES),
            ("an insert for each request", "async_insert=0", SINGLES // 4),
        ):
            path = f"/?query={statement}&{settings}&user={server.username}"
            messages = [load.request("POST", path, next(bodies)) for _ in range(count)]
            before = cpu(pid)
            one = checked(load.run(server.port or 8123, messages, MANY), 200)
            runs[f"{way}, {MANY} clients"] = [Run(one, cpu(pid) - before, count)]
        print(table(runs), end="")
    finally:
        _ask(f"DROP DATABASE {name} SYNC")


def _ask(statement: str) -> None:
    server = urlsplit(os.environ["CLICKHOUSE_URL"])
    url = f"http://{server.hostname}:{server.port}/?user={server.username}"
    urllib.request.urlopen(urllib.request.Request(url, statement.encode())).close()


if __name__ == "__main__":
    main()
