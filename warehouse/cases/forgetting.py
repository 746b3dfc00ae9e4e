"""Forgets cases, with their notes, 13 months after they closed."""

from warehouse.cases.revisions import CLOSED, TABLE
from warehouse.engine import Engine
from warehouse.statement_settings import UNLOGGED

# So many cases are named in one statement. The others follow a day later.
MOST = 1000
_OVERDUE = f"""
SELECT module, install, key FROM (
    SELECT module, install, key, max(at) AS touched, argMax(state, revision) AS now
    FROM {TABLE} GROUP BY module, install, key
)
WHERE touched < now() - INTERVAL 13 MONTH AND now IN {{closed:Array(String)}} LIMIT {MOST}
"""  # noqa: S608


def forget(engine: Engine) -> int:
    """Delete the cases that closed too long ago; return how many. Call it once a day. Raises `EngineError`."""
    server = engine.of(TABLE)
    found = server.query(_OVERDUE, {"closed": sorted(CLOSED)})
    if found:
        names = ", ".join(f"('{module}', {install}, {key})" for module, install, key in found)
        server.command(
            f"ALTER TABLE {server.altered(TABLE)} DELETE WHERE (module, install, key) IN ({names})",
            {**UNLOGGED, "mutations_sync": 0},
        )
    return len(found)
