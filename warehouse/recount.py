"""Compares the aggregates with a recount of their rows, each beacon once.

By construction they are equal: counts of installs are idempotent, and sums follow the tokens of sealed batches. This
check detects a construction that fails. Every fault test runs it, and so does `pharos recount`.
"""

from warehouse.engine import Engine

# By name of the comparison: the table with the rows, and a query for (key, value from the rows, value from the
# aggregate) of each difference.
_DIFFERENCES = {
    "usage": (
        "usage_beacons",
        """
        SELECT concat(toString(month), ' ', module), recount, total
        FROM (
            SELECT module::String AS module, month, sum(cityHash64(install, found)) AS recount
            FROM (
                SELECT module, toStartOfMonth(day) AS month, install,
                    groupBitOr(bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32) AS found
                FROM usage_beacons GROUP BY module, month, install
            )
            GROUP BY module, month
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT module::String AS module, month, sum(cityHash64(install, found)) AS total
            FROM (
                SELECT module, month, install, groupBitOr(days)::UInt32 AS found
                FROM installs_by_month GROUP BY module, month, install
            )
            GROUP BY module, month
        ) AS of_aggregate USING (module, month)
        WHERE recount != total
    """,
    ),
    "uses": (
        "usage_beacons",
        """
        SELECT concat(toString(month), ' ', module, ' ', feature), recount, total
        FROM (
            SELECT module::String AS module, month, pair.1 AS feature, (sum(pair.2), uniqExact(install, day)) AS recount
            FROM (
                SELECT module, toStartOfMonth(day) AS month, day, install,
                    arrayJoin(any(features)::Array(Tuple(String, UInt64))) AS pair
                FROM usage_beacons GROUP BY day, module, install, beacon
            )
            GROUP BY module, month, feature
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT module::String AS module, month, feature, (sum(amount), sum(bitCount(named))::UInt64) AS total
            FROM (
                SELECT module, month, feature::String AS feature, install,
                    sum(arraySum(mapValues(uses))) AS amount, groupBitOr(reported) AS named
                FROM features_by_month GROUP BY module, month, feature, install
            )
            GROUP BY module, month, feature
        ) AS of_aggregate USING (module, month, feature)
        WHERE recount != total
    """,
    ),
    "installs": (
        "usage_beacons",
        """
        SELECT module, recount, total
        FROM (
            SELECT module, sum(cityHash64(install, first, last)) AS recount
            FROM (
                SELECT module::String AS module, install, min(day) AS first, max(day) AS last
                FROM usage_beacons GROUP BY module, install
            )
            GROUP BY module
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT module, sum(cityHash64(install, first, last)) AS total
            FROM (
                SELECT module::String AS module, install, min(first_day) AS first, max(last_day) AS last
                FROM installs GROUP BY module, install
            )
            GROUP BY module
        ) AS of_aggregate USING (module)
        WHERE recount != total
    """,
    ),
    "license sources": (
        "license_sightings",
        """
        SELECT concat(toString(month), ' ', module, ' ', license_source), recount, total
        FROM (
            SELECT module::String AS module, month, license_source, sum(cityHash64(install, found)) AS recount
            FROM (
                SELECT module, toStartOfMonth(toDate(time)) AS month, source::String AS license_source, install,
                    groupBitOr(bitShiftLeft(1::UInt32, toDayOfMonth(time) - 1)::UInt32) AS found
                FROM license_sightings GROUP BY module, month, license_source, install
            )
            GROUP BY module, month, license_source
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT module::String AS module, month, license_source, sum(cityHash64(install, found)) AS total
            FROM (
                SELECT module, month, license_source::String AS license_source, install,
                    groupBitOr(days)::UInt32 AS found
                FROM license_sources_by_month GROUP BY module, month, license_source, install
            )
            GROUP BY module, month, license_source
        ) AS of_aggregate USING (module, month, license_source)
        WHERE recount != total
    """,
    ),
    "license installs": (
        "license_sightings",
        """
        SELECT concat(module, ' ', status), recount, total
        FROM (
            SELECT module::String AS module, status::String AS status,
                (count(), sum(cityHash64(install, first, last))) AS recount
            FROM (
                SELECT module, status, install, min(time) AS first, max(time) AS last
                FROM license_sightings GROUP BY module, status, install
            )
            GROUP BY module, status
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT module::String AS module, status::String AS status,
                (count(), sum(cityHash64(install, first, last))) AS total
            FROM (
                SELECT module, status, install, min(first_seen) AS first, max(last_seen) AS last
                FROM sightings_by_install GROUP BY module, status, install
            )
            GROUP BY module, status
        ) AS of_aggregate USING (module, status)
        WHERE recount != total
    """,
    ),
}


def differences(engine: Engine) -> list[str]:
    """Return one line for each figure in which rows and aggregate differ. Raises `EngineError`."""
    return [
        f"{name}, {key}: the rows say {recount}, the aggregate {total}"
        for name, (table, sql) in _DIFFERENCES.items()
        for key, recount, total in engine.of(table).query(sql)
    ]
