"""Fills the tables by month at once with what the inserts of every day leave there (`figures.fill`).

A hundred million beacons one by one would take hours. `tests/warehouse/queries/test_sampling.py` compares the tables.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from warehouse.engine import Engine

ROWS = 50_000
# The days of {span} on which an install ran a newer version, and a newer PHP. The day of bit p was {before} - p days
# ago. (The same arrayJoin twice would be one.)
_SINCE = "bitShiftLeft(4294967295::UInt64, toUInt8(least(greatest({{before}} - toInt64({}) + 1, 0), 32)))"
_NEWER, _NEWER_PHP = _SINCE.format("number * 7919 % 600"), _SINCE.format("number * 104729 % 500")
_REPORTS = """
    SELECT
        number,
        ['invoice_pro', 'bulk_mailer', 'domain_sync', 'tax_desk', 'chat_box'][1 + number % 5] AS module,
        sipHash64(number) AS install,
        '{month}'::Date AS month,
        concat('3.', toString(number % 11 + newer), '.', toString(number % 7)) AS version,
        if(number % 13 = 0, 'unlicensed', if(number % 17 = 0, 'trial', 'licensed')) AS license_status,
        ['debian', 'ubuntu', 'almalinux', 'centos'][1 + number % 4] AS os,
        toString(8 + number % 6) AS os_version,
        'x86_64' AS arch,
        ['kvm', 'none', 'vmware', 'lxc'][1 + intHash32(number) % 4] AS virtualization,
        concat('8.', toString(number % 13), '.', toString(number % 3)) AS whmcs,
        concat(['7.4', '8.0', '8.1', '8.2', '8.3'][1 + intHash32(number + 1) % 5], '.',
            toString(intHash32(number) % 30 + newer_php)) AS php,
        concat('mariadb-10.', toString(number % 12)) AS database,
        concat('apache-2.4.', toString(number % 10)) AS web_server,
        ['DE', 'US', 'GB', 'FR', 'IN', 'BR'][1 + intHash32(number + 2) % 6] AS country,
        bitAnd(bitAnd({span}, if(newer, {newer}, bitNot({newer}))), if(newer_php, {newer_php}, bitNot({newer_php}))
            )::UInt32 AS days
    FROM (SELECT number, arrayJoin([0, 1]) AS newer, arrayJoin([1, 0]) AS newer_php FROM numbers({first}, {rows}))
    WHERE days != 0
"""
_VALUES = "version, license_status, os, os_version, arch, virtualization, whmcs, php, database, web_server, country"
_FEATURES = "arrayFilter(one -> sipHash64(number, one) % 8 = 0, range(40))"
_INSERTS = (
    f"""
    INSERT INTO installs_by_month (module, install, month, {_VALUES}, days, used)
    SELECT module, install, month, {_VALUES}, days, arraySum(arrayMap(
        day -> if(arrayExists(one -> sipHash64(number, one, toUInt8({{before}} - day)) % 5 > 0, features),
            bitShiftLeft(1::UInt32, day), 0), bitPositionsToArray(days)))::UInt32
    FROM (SELECT *, {_FEATURES} AS features FROM ({_REPORTS}))
    """,
    f"""
    INSERT INTO features_by_month (module, feature, install, month, variant, reported, used, uses)
    SELECT
        module, concat('feature.', toString(one)), install, month, toUInt32(cityHash64({_VALUES})), days,
        arraySum(arrayMap((day, count) -> if(count > 0, bitShiftLeft(1::UInt32, day), 0), at, counts))::UInt32,
        CAST((
            arrayFilter((day, count) -> count > 0, arrayMap(day -> toUInt8(day + 1), at), counts),
            arrayMap(count -> toUInt64(count), arrayFilter(count -> count > 0, counts))
        ), 'Map(UInt8, UInt64)')
    FROM (
        SELECT *, arrayJoin({_FEATURES}) AS one,
            bitPositionsToArray(days) AS at,
            arrayMap(day -> sipHash64(number, one, toUInt8({{before}} - day)) % 5, at) AS counts
        FROM ({_REPORTS})
    )
    """,
    f"""
    INSERT INTO license_sources_by_month (module, install, month, version, license_status, license_source, country,
        days)
    SELECT
        module, sipHash64(number, 'l'), month, version, license_status,
        ['whmcs-addon-modules', 'own-server', 'unknown'][1 + intHash32(number + 3) % 3], country, days
    FROM ({_REPORTS})
    """,
)


def fill(engine: Engine, installs: int, days: int, today: date) -> None:
    """Insert so many installs that reported on each of the last `days` days up to `today`."""
    start = today - timedelta(days=days - 1)
    for month in _months(start, today):
        span = sum(
            1 << day
            for day in range(31)
            if start <= month + timedelta(days=day) <= today and (month + timedelta(days=day)).month == month.month
        )
        before = (today - month).days
        newer, newer_php = (each.format(before=before) for each in (_NEWER, _NEWER_PHP))
        for first in range(0, installs, ROWS):
            rows = min(ROWS, installs - first)
            given = {"month": month, "span": f"{span}::UInt64", "before": before, "first": first, "rows": rows}
            for insert in _INSERTS:
                engine.command(insert.format(**given, newer=newer, newer_php=newer_php))


def _months(start: date, end: date) -> Iterator[date]:
    month = start.replace(day=1)
    while month <= end:
        yield month
        month = (month + timedelta(days=31)).replace(day=1)
