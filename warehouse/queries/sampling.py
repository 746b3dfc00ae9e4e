"""Answers questions about many install-days from a sample of the installs.

Pseudonyms are uniform, so those below a bound are a random sample, the same one for every question. The tables are
ordered by module and install: ClickHouse does not read the rows of other installs.
"""

import math
from typing import Any
from weakref import WeakKeyDictionary

from core.kept_results import KeptResults
from warehouse.engine import Engine
from warehouse.queries.bucket_select import table
from warehouse.queries.group_counts import install_days_sql
from warehouse.queries.metric_query import MetricQuery
from warehouse.server_users import ServerUser

# Up to this number in the span, all installs are counted.
EXACT_INSTALL_DAYS = 10_000_000
# A sample has about so many. An answer from one takes no longer than that of a tenth of the fleet about a month.
SAMPLE_INSTALL_DAYS = 4_000_000
# The charts of a page need the number of install-days of one span. Whether it is a little older decides nothing but
# which side of the limit it is on.
KEPT_SECONDS = 5.0
_install_days: WeakKeyDictionary[Engine, KeptResults[tuple[str, frozenset[tuple[str, Any]]], int]] = WeakKeyDictionary()
# Of a normal distribution, 95% lies within so many standard deviations.
_DEVIATIONS = 1.959964


def divisor(engine: Engine, query: MetricQuery) -> int:
    """Return n, where one install in n answers the query. 1 means all of them. Raises `EngineError`.

    The filters but `module` do not count: what a query must read decides, and that an answer is exact or not does not
    disclose how many installs match.
    """
    reader = engine.as_user(ServerUser.LICENSING if query.of_license_plane else ServerUser.PRODUCT)
    kept = _install_days.setdefault(engine.origin, KeptResults(KEPT_SECONDS))

    def install_days(sql: str, parameters: dict[str, Any]) -> int:
        return kept.get((sql, frozenset(parameters.items())), lambda: int(reader.query(sql, parameters)[0][0]))

    # Most fleets have no more in all, and then no span is counted.
    if install_days(f"SELECT sum(bitCount(days)) FROM {table(query)}", {}) <= EXACT_INSTALL_DAYS:  # noqa: S608
        return 1
    found = install_days(*install_days_sql(query))
    return 1 if found <= EXACT_INSTALL_DAYS else math.ceil(found / SAMPLE_INSTALL_DAYS)


def interval(counted: int, squares: float, divisor: int) -> tuple[int, int]:
    """Return the 95% interval of a total, given its part in the sample.

    `squares` is the sum of the squares of what each install adds; for a count of installs it equals `counted`. The
    interval is Wilson's: it also holds for small counts.
    """
    share = 1 / divisor
    largest = squares / counted if counted else 1.0  # the size of a typical addition
    half_square = _DEVIATIONS**2 * largest * (1 - share) / 2
    half_width = _DEVIATIONS * math.sqrt(squares * (1 - share) + half_square**2 / _DEVIATIONS**2)
    low = (counted + half_square - half_width) / share
    high = (counted + half_square + half_width) / share
    return max(counted, math.floor(low)), math.ceil(high)
