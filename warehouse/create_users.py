"""Creates the users of a ClickHouse server, and grants and revokes until they hold what `server_users.py` lists."""

from typing import Any

from warehouse.connections import Connections
from warehouse.errors import NO_ACCESS_MANAGEMENT, EngineError
from warehouse.server_users import ServerUser


def create_users(connections: Connections, *, anew: bool = False) -> str:
    """Create the users and grants that are missing; returns why the server can have none, "" when it has them.

    `anew` also changes users that hold the right grants, for their passwords. Raises `EngineError`.
    """
    if obstacle := connections.server.obstacle:
        return obstacle
    try:
        for account in ServerUser:
            _create(connections, account, anew)
        _open_views(connections)
    except EngineError as error:
        if getattr(error.__cause__, "code", None) not in NO_ACCESS_MANAGEMENT:
            raise
        return "the user of PHAROS_CLICKHOUSE_URL may not make users"
    return ""


def _create(connections: Connections, account: ServerUser, anew: bool) -> None:
    server = connections.server
    # Asked first: on a cluster each of these statements waits for every replica, also for one that is down.
    if not anew and set(_held(connections, account)) == server.right(account):
        return
    for statement in server.make(account):
        _run(connections, statement)
    for statement in server.take_back(account, _held(connections, account)):
        _run(connections, statement)


def _held(connections: Connections, account: ServerUser) -> list[Any]:
    with connections.client() as client:
        return list(
            client.query(
                "SELECT toString(access_type), ifNull(table, ''), ifNull(column, '') FROM system.grants "
                "WHERE user_name = {name:String}",
                parameters={"name": account.user(connections.database)},
            ).result_rows
        )


def _open_views(connections: Connections) -> None:
    with connections.client() as client:
        views = client.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView' "
            "AND create_table_query NOT LIKE '%SQL SECURITY NONE%'"
        ).result_rows
    for (view,) in views:
        _run(connections, connections.server.open_view(view))


def _run(connections: Connections, statement: str) -> None:
    with connections.client() as client:
        client.command(statement)
