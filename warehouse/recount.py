"""Compares the aggregates with a recount of their rows, each beacon once.

By construction they are equal: counts of installs are idempotent, and sums follow the tokens of sealed batches. This
check detects a construction that fails. Every fault test runs it, and so does `pharos recount`.
"""

from warehouse.engine import Engine

# By name of the comparison: a query for (key, value from the rows, value from the aggregate) of each difference.
_DIFFERENCES = {
    "usage": """
        SELECT concat(toString(day), ' ', module), recount, total
        FROM (
            SELECT day, module, (uniqExact(install), sum(arraySum(mapValues(features)))) AS recount
            FROM (
                SELECT day, module, install, beacon, any(features) AS features
                FROM usage_beacons GROUP BY day, module, install, beacon
            )
            GROUP BY day, module
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT day, module, (uniqExact(install), sum(arraySum(mapValues(uses)))) AS total
            FROM installs_per_day_by_dimension GROUP BY day, module
        ) AS of_aggregate USING (day, module)
        WHERE recount != total
    """,
    "license days": """
        SELECT concat(toString(day), ' ', module, ' ', license_source), recount, total
        FROM (
            SELECT toDate(time) AS day, module, source::String AS license_source, uniqExact(install) AS recount
            FROM license_sightings GROUP BY day, module, license_source
        ) AS of_rows
        FULL OUTER JOIN (
            SELECT day, module, license_source::String AS license_source, uniqExact(install) AS total
            FROM installs_per_day_by_license_source GROUP BY day, module, license_source
        ) AS of_aggregate USING (day, module, license_source)
        WHERE recount != total
    """,
    "license installs": """
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
}


def differences(engine: Engine) -> list[str]:
    """Return one line for each figure in which rows and aggregate differ. Raises `EngineError`."""
    return [
        f"{name}, {key}: the rows say {recount}, the aggregate {total}"
        for name, sql in _DIFFERENCES.items()
        for key, recount, total in engine.query(sql)
    ]
