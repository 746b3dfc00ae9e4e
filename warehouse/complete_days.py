"""Finds the days of which every beacon still has its row in the usage plane.

Rows expire by their day of receipt. A beacon of a later day was received on that day or after it, at most ten minutes
earlier. An import may add rows of any older day.
"""

from datetime import date

from warehouse.engine import Engine

# A beacon may be ahead of its receipt, and a backup may last into the next day.
SLACK_DAYS = 3
# A day at the edge of an earlier, shorter retention may have lost some of its rows.
EDGE_DAYS = 8


def complete_from(engine: Engine) -> date:
    """Return the first of these days. Aggregates of earlier days can be more than their rows. Raises `EngineError`.

    While nothing that was received has expired, it depends on the setting alone. After the setting was raised, it also
    depends on the oldest row that is left.
    """
    ((today, rows, oldest),) = engine.query("SELECT today(), count(), min(received) FROM usage_beacons")
    ((installs, first),) = engine.query("SELECT count(), min(first_received) FROM installs")
    by_setting = date.fromordinal(today.toordinal() - engine.raw_days + SLACK_DAYS)
    if not installs or (rows and oldest <= first):
        return by_setting
    if not rows:
        return date.fromordinal(today.toordinal() + 1)
    edge = oldest.toordinal() < today.toordinal() - EDGE_DAYS
    return max(by_setting, date.fromordinal(oldest.toordinal() + edge))
