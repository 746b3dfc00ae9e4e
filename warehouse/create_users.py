"""Creates the users of a ClickHouse server, and adjusts their grants to the list in `server_users.py`."""

from typing import Any

from warehouse.connections import Connections
from warehouse.errors import NO_ACCESS_MANAGEMENT, EngineError
from warehouse.server_users import ServerUser


def create_users(connections: Connections, *, anew: bool = False) -> str:
    """Create missing users and grants; returns "" on success, or the reason why the server cannot have these users.

    `anew` also alters users with correct grants, to set their passwords again. Raises `EngineError`.
    """
    if obstacle := connections.server.obstacle:
        return obstacle
    try:
        for account in connections.server.accounts:
            _create(connections, account, anew)
        _open_views(connections)
    except EngineError as error:
        if getattr(error.__cause__, "code", None) not in NO_ACCESS_MANAGEMENT:
            raise
        return f"the user of {connections.server.setting} may not create users"
    return ""


def _create(connections: Connections, account: ServerUser, anew: bool) -> None:
    server = connections.server
    # Check first: on a cluster each of these statements waits for every replica, even for one that is down.
    if not anew and set(_current_grants(connections, account)) == server.right(account):
        return
    for statement in server.make(account):
        _run(connections, statement)
    for statement in server.take_back(account, _current_grants(connections, account)):
        _run(connections, statement)


def _current_grants(connections: Connections, account: ServerUser) -> list[Any]:
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
