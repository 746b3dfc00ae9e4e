"""The names of the modules that a role may see: of all installs, however many install-days there are."""

from datetime import date

from warehouse.engine import Engine
from warehouse.queries import disclosure, shard_sums
from warehouse.queries.small_groups import OTHER, Bucket, Group, fold
from warehouse.server_users import ServerUser

# Others are folded, so that invented names cannot fill the memory.
MOST_MODULES = 2000


def names(engine: Engine, k: int, last_day: date, open_from: date | None) -> list[str]:
    """Return the modules that had a report up to `last_day` and are no small group, in order.

    They are those of the metric `installs` by module. `open_from` is the first day whose figures change in steps. Reads
    a row for each install and module. Raises `EngineError`.
    """
    reader = engine.as_user(ServerUser.PRODUCT)
    earlier = "uniqExactIf(install, first_day < {open_from:Date})" if open_from else "everybody"
    given = {"last_day": last_day, "open_from": open_from or last_day, "k": k}
    counts = f"uniqExact(install) AS everybody, {earlier} AS earlier FROM installs WHERE first_day <= {{last_day:Date}}"
    by_module = shard_sums.added_up(
        reader, f"SELECT module::String AS name, {counts} GROUP BY name", ("name",), ("everybody", "earlier")
    )
    large = [
        Group(name, installs, installs)
        for name, installs in reader.query(
            f"SELECT name, {disclosure.stepped_sql('earlier', 'everybody')} AS installs "  # noqa: S608
            f"FROM ({by_module}) WHERE installs >= {{k:UInt64}} ORDER BY installs DESC, name LIMIT {MOST_MODULES}",
            given,
        )
    ]

    def others(without: list[str]) -> Group:
        selected = f"SELECT {counts} AND module NOT IN {{without:Array(String)}}"
        together = shard_sums.added_up(reader, selected, (), ("everybody", "earlier"))
        ((everybody, before),) = reader.query(together, {**given, "without": without})
        installs = disclosure.stepped(before, everybody, k)
        return Group(OTHER, everybody, installs)

    rest = others([group.key for group in large])
    bucket = Bucket("", large, int(rest.value > 0), rest)

    def merge(smallest: object) -> dict[str, Group]:
        return {"": others([group.key for group in large if group is not bucket.smallest])}

    return sorted(row.key for row in fold([bucket], k, merge) if row.key != OTHER)
