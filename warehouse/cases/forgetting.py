"""Forgets cases, with their notes and the names in them, 13 months after the last decision about them.

That is 13 months after a case closed. One that nobody touches for so long is forgotten too, whatever its state: if its
flags still hold it is in the list as before, open and without a history.
"""

from warehouse.cases.revisions import TABLE
from warehouse.engine import Engine
from warehouse.statement_settings import UNLOGGED

# So many cases are named in one statement. The others follow a day later.
MOST = 1000
_OVERDUE = f"""
SELECT module, install, key FROM {TABLE} GROUP BY module, install, key
HAVING max(at) < now() - INTERVAL 13 MONTH LIMIT {MOST}
"""  # noqa: S608


def forget(engine: Engine) -> int:
    """Delete the cases whose last decision is too old; return how many. Call it once a day. Raises `EngineError`."""
    server = engine.of(TABLE)
    found = server.query(_OVERDUE)
    if found:
        names = ", ".join(f"('{module}', {install}, {key})" for module, install, key in found)
        server.command(
            f"ALTER TABLE {server.altered(TABLE)} DELETE WHERE (module, install, key) IN ({names})",
            {**UNLOGGED, "mutations_sync": 0},
        )
    return len(found)
