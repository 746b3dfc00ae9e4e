"""How long the questions of the read API take, and how much space the aggregates take, by the number of install-days.

    python -m tests.bench.figures [MILLIONS ...]

MILLIONS (1 and 10) of install-days lie in the tables: 90 days of a fleet with five modules and 40 features, as the
loader's inserts of every day leave them there. With CLICKHOUSE_URL on a server, else on the embedded engine. `x` is a
multiple of `SELECT 1` in the same run. The space is also that of as many install-days of a smaller fleet in 13 months:
the sealed states have a size for each install, whatever its days.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from core.home import Home
from core.settings import Settings
from tests.bench import estimates, months
from tests.bench.installs import fill_states
from tests.end_to_end.system import AVAILABLE, clickhouse_url
from warehouse.engine import Engine
from warehouse.limited_engine import LimitedEngine
from warehouse.migrate import migrate
from warehouse.queries import metrics, questions

SIZES = (1, 10)
DAYS, DAYS_KEPT = 90, 390
ROUNDS = 9
SECONDS = 60
K = 5
ESTIMATES = 200
# {ago} days ago, {installs} installs reported. A fifth of them changed their PHP, their module, or both in these days.
_BEACONS = """
    INSERT INTO usage_beacons (day, install, beacon, mark, module, version, license_status, os_family, os, os_version,
        arch, virtualization, whmcs, php, database, web_server, country, features)
    SELECT
        today() - {ago}, sipHash64(number) AS install, sipHash64(number, {ago}), 0,
        ['invoice_pro', 'bulk_mailer', 'domain_sync', 'tax_desk', 'chat_box'][1 + number % 5],
        concat('3.', toString(number % 11 + ({ago} < number * 7919 % 600)), '.', toString(number % 7)),
        if(number % 13 = 0, 'unlicensed', if(number % 17 = 0, 'trial', 'licensed')),
        'linux', ['debian', 'ubuntu', 'almalinux', 'centos'][1 + number % 4], toString(8 + number % 6), 'x86_64',
        ['kvm', 'none', 'vmware', 'lxc'][1 + intHash32(number) % 4],
        concat('8.', toString(number % 13), '.', toString(number % 3)),
        concat(['7.4', '8.0', '8.1', '8.2', '8.3'][1 + intHash32(number + 1) % 5], '.',
            toString(intHash32(number) % 30 + ({ago} < number * 104729 % 500))),
        concat('mariadb-10.', toString(number % 12)), concat('apache-2.4.', toString(number % 10)),
        ['DE', 'US', 'GB', 'FR', 'IN', 'BR'][1 + intHash32(number + 2) % 6],
        CAST((
            arrayMap(one -> concat('feature.', toString(one)),
                arrayFilter(one -> sipHash64(number, one) % 8 = 0, range(40)) AS used),
            arrayMap(one -> sipHash64(number, one, {ago}) % 5, used)
        ), 'Map(LowCardinality(String), UInt32)')
    FROM numbers({first}, {rows})
"""
# The same installs in the license plane, under pseudonyms of their own.
_LICENSED = """
SELECT ['invoice_pro', 'bulk_mailer', 'domain_sync', 'tax_desk', 'chat_box'][1 + number % 5] AS module,
    sipHash64(number, 'l') AS install, sipHash64(number, 'k') FROM numbers({installs:UInt64}) ORDER BY module, install
"""
_INSTALLS = """
    INSERT INTO installs (module, install, first_day, last_day, first_received, last_received)
    SELECT
        ['invoice_pro', 'bulk_mailer', 'domain_sync', 'tax_desk', 'chat_box'][1 + number % 5], sipHash64(number),
        today() - {ago} AS day, day, day, day
    FROM numbers({first}, {rows})
"""
ROWS = 250_000
# What outlasts the raw rows, in both planes.
LASTING = (
    "installs", "installs_by_month", "features_by_month", "license_sources_by_month", "license_states",
    "license_keys",
)  # fmt: skip
# What the dashboard's charts and an analyst ask, of 30 days unless it says otherwise.
QUESTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "installs by day": ("installs", {}),
    "installs, 90 days": ("installs", {"days": "90", "grain": "period"}),
    "installs by week, 90 days": ("installs", {"days": "90", "grain": "week"}),
    "by PHP and day": ("installs", {"by": "php"}),
    "by PHP series and day": ("installs", {"by": "php_series"}),
    "by PHP series, latest": ("installs", {"by": "php_series", "count": "latest", "grain": "period"}),
    "by PHP series and day, latest": ("installs", {"by": "php_series", "count": "latest"}),
    "by version, one module, latest": (
        "installs", {"by": "version", "module": "invoice_pro", "count": "latest", "grain": "period"},
    ),
    "by PHP and WHMCS series, latest": (
        "installs", {"by": "php_series,whmcs_series", "count": "latest", "grain": "period"},
    ),
    "Debian alone, by PHP": ("installs", {"by": "php_series", "os": "debian", "grain": "period"}),
    "features": ("feature_installs", {"grain": "period"}),
    "features, 90 days": ("feature_installs", {"days": "90", "grain": "period"}),
    "features of one module": ("feature_installs", {"module": "invoice_pro", "grain": "period"}),
    "uses of one module": ("feature_uses", {"module": "invoice_pro", "grain": "period"}),
    "one feature by day": ("feature_installs", {"feature": "feature.7", "by": "none"}),
    "uses of one feature by day": ("feature_uses", {"feature": "feature.7", "by": "none"}),
    "features on PHP before 8.1": ("feature_installs", {"php_series.lt": "8.1", "grain": "period"}),
    "one feature by PHP series": ("feature_installs", {"feature": "feature.7", "by": "php_series", "grain": "period"}),
    # Of their default spans: 12 weeks, 90 or 30 days.
    "lifecycle": ("lifecycle", {}),
    "lifecycle of one module": ("lifecycle", {"module": "invoice_pro"}),
    "lifecycle on PHP before 8.1": ("lifecycle", {"php_series.lt": "8.1"}),
    "retention": ("retention", {}),
    "retention of a feature": ("retention", {"feature": "feature.7"}),
    "first use of a feature": ("first_use", {"feature": "feature.7"}),
    "adoption": ("adoption", {"module": "invoice_pro", "version_series": "3.5"}),
    "upgrades": ("upgrades", {"module": "invoice_pro"}),
    "features used together": ("together", {}),
    "together, one module": ("together", {"module": "invoice_pro"}),
    "dropping PHP before 8.1": ("drop", {"module": "invoice_pro", "php_series.lt": "8.1"}),
}  # fmt: skip


def main() -> None:
    """Fill a database of each size and print its table."""
    for millions in map(int, sys.argv[1:] or SIZES):
        with tempfile.TemporaryDirectory() as folder:
            home = Home(Path(folder))
            settings = Settings(home=home.path, clickhouse_url=clickhouse_url(AVAILABLE[-1]), secret="a root secret")
            engine = Engine(settings, home)
            try:
                migrate(engine)
                fill_at_once(engine, millions * 1_000_000)
                _report(engine, millions)
                for table in LASTING:
                    engine.command(f"TRUNCATE TABLE {engine.altered(table)}")
                fill_at_once(engine, millions * 1_000_000, DAYS_KEPT)
                _space(engine, millions, DAYS_KEPT)
            finally:
                engine.close()


def fill(engine: Engine, install_days: int, days: int = DAYS) -> None:
    """Insert so many install-days as the loader does, a row for each install on each day."""
    installs = install_days // days
    for ago in range(days):
        _insert(engine, _BEACONS, installs, ago)
        _forget_rows(engine)
    _merge(engine)


def fill_at_once(engine: Engine, install_days: int, days: int = DAYS) -> None:
    """Insert the same into the tables by month, without the rows of single days. Fills the license plane too."""
    installs = install_days // days
    months.fill(engine, installs, days, datetime.now(UTC).date())
    # The table with a row for each install: of its first and its last day.
    for ago in (days - 1, 0):
        _insert(engine, _INSTALLS, installs, ago)
    rows = engine.query(_LICENSED, {"installs": installs})
    fill_states(engine, {(module, install): key for module, install, key in rows}, days)
    _merge(engine)


def _insert(engine: Engine, statement: str, installs: int, ago: int) -> None:
    for first in range(0, installs, ROWS):
        engine.command(statement.format(ago=ago, first=first, rows=min(ROWS, installs - first)))


def _forget_rows(engine: Engine) -> None:
    """Drop the raw rows. What is measured is the aggregates, and the rows would fill the disk."""
    engine.command(f"TRUNCATE TABLE {engine.altered('usage_beacons')}")


def _merge(engine: Engine) -> None:
    for table in LASTING:
        engine.command(f"OPTIMIZE TABLE {engine.altered(table)} FINAL")


def _report(engine: Engine, millions: int) -> None:
    def seconds(ask: Callable[[], object]) -> list[float]:
        found = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            ask()
            found.append(time.perf_counter() - began)
        return sorted(found[1:])

    floor = statistics.median(seconds(lambda: engine.query("SELECT 1")))
    print(f"\n{millions} million install-days; SELECT 1 takes {floor * 1000:.1f} ms")
    _space(engine, millions, DAYS)
    print(f"{'':38}{'p50 ms':>10}{'p95 ms':>10}{'p50 x':>10}")
    today = datetime.now(UTC).date()
    asked = LimitedEngine(engine, SECONDS)  # as the read API does: ClickHouse compiles nothing
    for name, (metric, arguments) in QUESTIONS.items():
        took = seconds(partial(_ask, asked, metric, arguments, today))
        p50, p95 = statistics.median(took), took[-1]
        print(f"{name:38}{p50 * 1000:10.0f}{p95 * 1000:10.0f}{p50 / floor:10.0f}", flush=True)
    print(estimates.measure(engine, ESTIMATES, K, today), flush=True)


def _space(engine: Engine, millions: int, days: int) -> None:
    """Print the bytes of the lasting tables."""
    print(f"{days} days")
    sizes = engine.query(
        "SELECT table, sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND database = currentDatabase() "
        "AND table IN {tables:Array(String)} GROUP BY table ORDER BY table",
        {"tables": list(LASTING)},
    )
    for table, size, rows in sizes:
        print(f"{table:38}{rows:14,} rows{size / millions / 1e6:10.2f} bytes an install-day")
    print(f"{'in all':38}{'':14}     {sum(size for _, size, _ in sizes) / millions / 1e6:10.2f} bytes an install-day")


def _ask(engine: Engine, metric: str, arguments: dict[str, str], today: date) -> object:
    if metric in questions.QUESTIONS:
        return questions.ask(engine, metric, arguments, questions.Terms(K), today, today - timedelta(days=1))
    return metrics.answer(engine, metrics.parse(metric, _of_days(arguments, today), today), K)


def _of_days(arguments: dict[str, str], today: date) -> dict[str, str]:
    days = int(arguments.get("days", "30"))
    asked = {name: value for name, value in arguments.items() if name != "days"}
    return asked | {"from": str(today - timedelta(days=days - 1)), "to": str(today)}


if __name__ == "__main__":
    main()
