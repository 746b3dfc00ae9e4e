"""Counts one group of a grouping, without all the others.

Which groups are folded depends on the others, but little: a large group is folded only if it is the smallest of the
large ones in its bucket. So one smaller group of at least k installs is proof that it is not.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from warehouse.engine import Engine
from warehouse.queries.bucket_groups import BucketGroups
from warehouse.queries.bucket_select import table
from warehouse.queries.metric_query import MetricQuery
from warehouse.queries.reported_values import Texts
from warehouse.queries.small_groups import Row, ordered

# The tables are ordered by these: ClickHouse does not read the rows of other values.
DIMENSIONS = ("feature", "module")
# How many smaller groups are counted at most, and with how many rows, as multiples of k, they are large in each bucket.
_PROOFS, _ENOUGH = 2, 100
# The most rows that are worth reading, beside those of all groups.
_WORTH = 0.5


def rows(
    reader: Engine, query: MetricQuery, value: str, texts: Texts, k: int, open_from: date | None
) -> list[Row] | None:
    """Return the rows of the value in a grouping by one of `DIMENSIONS`, in the order of an answer.

    A bucket that does not tell the value has no row. None where all groups have to be counted. Raises `EngineError`.
    """
    (dimension,) = query.dimensions
    smaller = _smaller(reader, query, value, k)
    if not smaller:
        return None
    among = (value, *smaller)

    def known(source: str) -> Sequence[str]:
        return among if source == dimension else texts(source)

    groups = BucketGroups(reader, replace(query, among=among), known, k, open_from)
    found = []
    for bucket, large in groups.large().items():
        own = next((group for group in large if group.key == value), None)
        if own is None:
            continue
        if not any((group.installs, group.key) < (own.installs, own.key) for group in large):
            return None
        found.append(Row(bucket, value, own.value, own.installs, squares=own.squares))
    return ordered(found)


def _smaller(reader: Engine, query: MetricQuery, value: str, k: int) -> list[str]:
    """Return some smaller groups, by their rows in the last month of the span; none if they are not worth counting.

    The smallest of those that are large enough: they are in no bucket larger, and quick to count.
    """
    (dimension,) = query.dimensions
    source = "features_by_month" if query.of_features else table(query)
    parameters = {"month": query.end.replace(day=1), "module": query.filters.get("module", "")}
    of_module = " AND module = {module:String}" if parameters["module"] else ""
    sql = (
        f"SELECT {dimension}::String, count() FROM {source} "  # noqa: S608
        f"WHERE month = {{month:Date}}{of_module} GROUP BY {dimension}"
    )
    sizes: dict[str, int] = dict(reader.query(sql, parameters))
    own = sizes.get(value, 0)
    smaller = sorted((size, key) for key, size in sizes.items() if key and (size, key) < (own, value))
    enough = _ENOUGH * k * query.divisor
    found = [each for each in smaller if each[0] >= enough][:_PROOFS] or smaller[-_PROOFS:]
    worth = own + sum(size for size, _ in found) <= _WORTH * sum(sizes.values())
    return [key for _, key in found] if worth else []
