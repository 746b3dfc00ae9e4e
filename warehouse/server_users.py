"""The users of a ClickHouse server under which Pharos works, and what each of them may do. Pure.

Who has the login of `PHAROS_CLICKHOUSE_URL` has everything, so the passwords of these users follow from its password:
all processes know them, and no channel is needed. Thanks to them a wrong route or an injected query in the dashboard
runs as somebody who cannot read the other plane. The embedded engine has no users: there the separation is in code.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from core.home import derive
from core.settings import Settings
from warehouse.identifiers import on_cluster, quoted


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
        ("SELECT", "owner_statements", ()),
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

    @classmethod
    def of(cls, settings: Settings) -> "Server":
        """The server of `PHAROS_CLICKHOUSE_URL`."""
        url = urlsplit(settings.clickhouse_url)
        loopback = url.hostname in ("127.0.0.1", "::1", "localhost")
        return cls(
            settings.clickhouse_database,
            settings.clickhouse_cluster,
            unquote(url.password or ""),
            loopback,
            settings.clickhouse_readers,
        )

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
        # Said for the loader too: a server's default profile may be read-only.
        settings = f"SETTINGS readonly = {0 if account is ServerUser.LOADER else 2}"
        cluster, grants = on_cluster(self.cluster), ", ".join(map(self._spelled, self.grants(account)))
        return [
            f"CREATE USER IF NOT EXISTS {quoted(name)}{cluster} {how} {settings}",
            f"ALTER USER {quoted(name)}{cluster} {how} {settings}",
            f"GRANT{cluster} {grants} TO {quoted(name)}",
        ]

    def grants(self, account: ServerUser) -> list[Grant]:
        """What an account may do, table by table as they stand on the server."""
        ends = ("", "_local") if self.cluster else ("",)
        return [(what, table + end, columns) for what, table, columns in GRANTS[account] for end in ends]

    def right(self, account: ServerUser) -> set[tuple[str, str, str]]:
        """The same, as the server tells of it: (what, table, column)."""
        return {(what, table, column) for what, table, columns in self.grants(account) for column in columns or ("",)}

    def take_back(self, account: ServerUser, held: Iterable[tuple[str, str, str]]) -> list[str]:
        """Statements for what a user holds and may no longer."""
        right = self.right(account)
        name = quoted(account.user(self.database))
        return [
            f"REVOKE{on_cluster(self.cluster)} {self._spelled((what, table, (column,) if column else ()))} FROM {name}"
            for what, table, column in held
            if (what, table, column) not in right
        ]

    def open_view(self, view: str) -> str:
        """A statement that lets a view run for whoever inserts; else the loader would have to read what it reads."""
        return f"ALTER TABLE {quoted(view)}{on_cluster(self.cluster)} MODIFY SQL SECURITY NONE"

    def _spelled(self, grant: Grant) -> str:
        what, table, columns = grant
        where = f"{quoted(self.database)}.{quoted(table)}" if table else "*.*"
        return f"{what}({', '.join(map(quoted, columns))}) ON {where}" if columns else f"{what} ON {where}"
