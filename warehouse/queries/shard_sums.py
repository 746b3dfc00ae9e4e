"""Adds up what the shards of a cluster count.

The pseudonym of an install decides its shard, so all rows of an install are on one shard, and counts of installs of
different shards add up. Each shard sends its counts: no sets of installs travel.
"""

from collections.abc import Sequence

from warehouse.engine import Engine


def of_each_shard(engine: Engine, select: str) -> str:
    """Return a SELECT of the rows that a SELECT has on each shard. Without a cluster, of its rows.

    The table `shards` has a row on each shard. Of a join, a shard runs the right side on its own tables
    (`distributed_product_mode`), whatever it consists of. A Distributed table by itself runs on the shards no more than
    one level of a nested SELECT; the rows of installs would travel for the rest.
    """
    if not engine.cluster:
        return select
    return f"SELECT each.* FROM shards INNER JOIN (SELECT *, 0::UInt8 AS dummy FROM ({select})) AS each USING (dummy)"  # noqa: S608


def added_up(engine: Engine, select: str, by: Sequence[str], columns: Sequence[str], add: str = "sum") -> str:
    """Return a SELECT of (by, columns) of the whole fleet, given that of a shard.

    `add` is the aggregate function that adds up columns: `sumForEach` for arrays.
    """
    if not engine.cluster:
        return select
    sums = ", ".join([*by, *(f"{add}({column}) AS {column}" for column in columns)])
    groups = f" GROUP BY {', '.join(by)}" if by else ""
    return f"SELECT {sums} FROM ({of_each_shard(engine, select)}){groups}"  # noqa: S608
