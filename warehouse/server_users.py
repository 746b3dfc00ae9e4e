"""The users of a ClickHouse server under which Pharos works, and what each of them may do. Pure.

Who has the login of `PHAROS_CLICKHOUSE_URL` has everything, so the passwords of these users follow from its password:
all processes know them, and no channel is needed. Thanks to them a wrong route or an injected query in the dashboard
runs as somebody who cannot read the other plane. The embedded engine has no users: there the separation is in code.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from core.home import derive


class ServerUser(StrEnum):
    """A user of the ClickHouse server."""

    PRODUCT = "product"
    LICENSING = "licensing"
    LOADER = "loader"

    def user(self, database: str) -> str:
        """What the server calls it: several Pharos databases on one server have users of their own."""
        return f"pharos_{database}_{self}"


# (what, table, columns: all where there are none). No table but freshness is open to both planes' readers.
Grant = tuple[str, str, tuple[str, ...]]
GRANTS: dict[ServerUser, tuple[Grant, ...]] = {
    ServerUser.PRODUCT: (
        ("SELECT", "installs_per_day_by_dimension", ()),
        ("SELECT", "freshness_by_loader", ()),
        # The state of requests; nothing of it says who asked.
        ("SELECT", "rights_requests", ()),
    ),
    ServerUser.LICENSING: (
        ("SELECT", "license_sightings", ()),
        ("SELECT", "sightings_by_install", ()),
        ("SELECT", "installs_per_day_by_license_source", ()),
    ),
    ServerUser.LOADER: (
        ("INSERT", "usage_beacons", ()),
        ("SELECT", "usage_beacons", ("day", "beacon", "mark")),
        ("INSERT", "license_sightings", ()),
        ("INSERT", "sealed_beacons", ()),
        ("INSERT", "freshness_by_loader", ()),
    ),
}


@dataclass(frozen=True)
class Server:
    """Where the users are made: the database, its cluster ("" for none), and the login of the URL's user."""

    database: str
    cluster: str
    password: str
    loopback: bool
    # `PHAROS_CLICKHOUSE_READERS`: the passwords of the readers, where the administrator's is not known.
    readers: str = ""

    @property
    def obstacle(self) -> str:
        """Why there can be no such users, "" when nothing is in the way: a derived password must not be guessable."""
        return "" if self.password or self.loopback else "PHAROS_CLICKHOUSE_URL has no password"

    def login(self, account: ServerUser) -> tuple[str, str]:
        """Name and password of an account."""
        name = account.user(self.database)
        if self.readers:
            return name, dict(each.split(":") for each in self.readers.split())[str(account)]
        return name, derive(self.password.encode(), f"clickhouse user {name}").hex()

    def readers_passwords(self) -> str:
        """What `PHAROS_CLICKHOUSE_READERS` is set to where only the readers' logins may be known."""
        return " ".join(f"{account}:{self.login(account)[1]}" for account in (ServerUser.PRODUCT, ServerUser.LICENSING))

    def make(self, account: ServerUser) -> list[str]:
        """Statements that make a user and its grants, or change what is there; to be run again and again."""
        name, password = self.login(account)
        # Without a password anybody on the server's machine is its administrator, but nobody from elsewhere.
        host = "HOST ANY" if self.password else "HOST LOCAL"
        how = f"IDENTIFIED WITH sha256_hash BY '{hashlib.sha256(password.encode()).hexdigest()}' {host}"
        settings = "" if account is ServerUser.LOADER else "SETTINGS readonly = 2"
        return [
            f"CREATE USER IF NOT EXISTS {name}{self._on_cluster} {how} {settings}",
            f"ALTER USER {name}{self._on_cluster} {how} {settings}",
            f"GRANT{self._on_cluster} {', '.join(self._spelled(grant) for grant in self.grants(account))} TO {name}",
        ]

    def grants(self, account: ServerUser) -> list[Grant]:
        """What an account may do, table by table as they stand on the server."""
        ends = ("", "_local") if self.cluster else ("",)
        grants = [(what, table + end, columns) for what, table, columns in GRANTS[account] for end in ends]
        # `Engine.reads` tries a row on a table function.
        return grants + ([("CREATE TEMPORARY TABLE", "", ())] if account is ServerUser.LOADER else [])

    def right(self, account: ServerUser) -> set[tuple[str, str, str]]:
        """The same, as the server tells of it: (what, table, column)."""
        return {(what, table, column) for what, table, columns in self.grants(account) for column in columns or ("",)}

    def take_back(self, account: ServerUser, held: Iterable[tuple[str, str, str]]) -> list[str]:
        """Statements for what a user holds and may no longer."""
        right = self.right(account)
        name = account.user(self.database)
        return [
            f"REVOKE{self._on_cluster} {self._spelled((what, table, (column,) if column else ()))} FROM {name}"
            for what, table, column in held
            if (what, table, column) not in right
        ]

    def open_view(self, view: str) -> str:
        """A statement that lets a view run for whoever inserts; else the loader would have to read what it reads."""
        return f"ALTER TABLE {view}{self._on_cluster} MODIFY SQL SECURITY NONE"

    @property
    def _on_cluster(self) -> str:
        return f" ON CLUSTER {self.cluster}" if self.cluster else ""

    def _spelled(self, grant: Grant) -> str:
        what, table, columns = grant
        where = f"{self.database}.{table}" if table else "*.*"
        return f"{what}({', '.join(columns)}) ON {where}" if columns else f"{what} ON {where}"
