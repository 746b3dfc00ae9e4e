"""The users that Pharos creates on a ClickHouse server, and their grants. Pure.

A wrong route or an injected query in the dashboard then runs as a user that cannot read the other plane. The passwords
are derived from the password in the server's URL: that login can read everything anyway, and each process can
derive them by itself. The embedded engine has no users, so there the code alone separates the planes.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from core.home import derive
from core.settings import Settings
from warehouse.identifiers import on_cluster, quoted
from warehouse.plane_tables import PLANES, Plane, plane_of


class ServerUser(StrEnum):
    """A user of the ClickHouse server."""

    PRODUCT = "product"
    LICENSING = "licensing"
    LOADER = "loader"
    # Writes what the licensing team decides, and reads nothing.
    DESK = "desk"

    def user(self, database: str) -> str:
        """Return the user's name on the server. Each Pharos database on a server has its own users."""
        return f"pharos_{database}_{self}"


WRITERS = frozenset({ServerUser.LOADER, ServerUser.DESK})
# (privilege, table, columns); no columns means all. The readers of the two planes share no table with data.
Grant = tuple[str, str, tuple[str, ...]]
GRANTS: dict[ServerUser, tuple[Grant, ...]] = {
    ServerUser.PRODUCT: (
        ("SELECT", "installs_by_month", ()),
        ("SELECT", "features_by_month", ()),
        ("SELECT", "installs", ()),
        ("SELECT", "freshness_by_loader", ()),
        ("SELECT", "rejections", ()),
        ("SELECT", "development_beacons", ()),
        # Whether the tables are those of this version.
        ("SELECT", "migrations", ("version",)),
        # The state of requests; nothing of it says who asked.
        ("SELECT", "rights_requests", ()),
    ),
    ServerUser.LICENSING: (
        ("SELECT", "license_states", ()),
        ("SELECT", "license_beacons_per_hour", ()),
        ("SELECT", "license_keys", ()),
        ("SELECT", "owner_statements", ()),
        ("SELECT", "license_sources_by_month", ()),
        ("SELECT", "license_cases", ()),
        ("SELECT", "license_registry", ()),
        ("SELECT", "license_flags", ()),
        ("SELECT", "license_incidents", ()),
        # Whether the reports can be read with the key of this process.
        ("SELECT", "license_states_key", ()),
    ),
    ServerUser.LOADER: (
        ("INSERT", "usage_beacons", ()),
        ("SELECT", "usage_beacons", ("day", "beacon", "mark")),
        # For a loader of the version before.
        ("INSERT", "license_sightings", ()),
        ("INSERT", "license_sources_by_month", ()),
        ("INSERT", "license_states", ()),
        ("INSERT", "license_keys", ()),
        ("INSERT", "license_beacons_per_hour", ()),
        ("INSERT", "license_registry", ()),
        ("INSERT", "license_flags", ()),
        ("INSERT", "license_incidents", ()),
        ("INSERT", "sealed_beacons", ()),
        ("INSERT", "freshness_by_loader", ()),
        ("INSERT", "rejections", ()),
        ("INSERT", "development_beacons", ()),
    ),
    ServerUser.DESK: (("INSERT", "license_cases", ()),),
}


@dataclass(frozen=True)
class Server:
    """The server of the users: the database, its cluster ("" for none), and the login of the URL's user."""

    database: str
    cluster: str
    password: str
    loopback: bool
    # `PHAROS_CLICKHOUSE_READERS`: the passwords of the readers, where the administrator's is not known.
    readers: str = ""
    planes: tuple[Plane, ...] = PLANES

    @classmethod
    def of(cls, settings: Settings, planes: tuple[Plane, ...] = PLANES) -> "Server":
        """Return the server at `clickhouse_url`, which holds these planes."""
        url = urlsplit(settings.clickhouse_url)
        loopback = url.hostname in ("127.0.0.1", "::1", "localhost")
        return cls(
            settings.clickhouse_database,
            settings.clickhouse_cluster,
            unquote(url.password or ""),
            loopback,
            settings.clickhouse_readers,
            planes,
        )

    @property
    def setting(self) -> str:
        """The name of the setting with this server's URL."""
        return "PHAROS_CLICKHOUSE_URL" if "usage" in self.planes else "PHAROS_LICENSE_CLICKHOUSE_URL"

    @property
    def accounts(self) -> list[ServerUser]:
        """The users that this server needs."""
        return [account for account in ServerUser if self.grants(account)]

    @property
    def obstacle(self) -> str:
        """Why the server cannot have these users, "" if it can. A derived password must not be guessable."""
        return "" if self.password or self.loopback else f"{self.setting} has no password"

    def login(self, account: ServerUser) -> tuple[str, str]:
        """Return the name and password of an account."""
        name = account.user(self.database)
        if self.readers:
            # Readers from before there was this account have no password for it.
            return name, dict(each.split(":") for each in self.readers.split()).get(str(account), "")
        return name, derive(self.password.encode(), f"clickhouse user {name}").hex()

    def readers_passwords(self) -> str:
        """What `PHAROS_CLICKHOUSE_READERS` is set to where only the readers' logins may be known."""
        readers = (account for account in self.accounts if account is not ServerUser.LOADER)
        return " ".join(f"{account}:{self.login(account)[1]}" for account in readers)

    def make(self, account: ServerUser) -> list[str]:
        """Return idempotent statements that create or update a user and its grants."""
        name, password = self.login(account)
        # Without a password, every process on the server's machine is its administrator. Other machines get no access.
        host = "HOST ANY" if self.password else "HOST LOCAL"
        how = f"IDENTIFIED WITH sha256_hash BY '{hashlib.sha256(password.encode()).hexdigest()}' {host}"
        # Set for the writers too: a server's default profile may be read-only.
        settings = f"SETTINGS readonly = {0 if account in WRITERS else 2}"
        cluster, grants = on_cluster(self.cluster), ", ".join(map(self._clause, self.grants(account)))
        return [
            f"CREATE USER IF NOT EXISTS {quoted(name)}{cluster} {how} {settings}",
            f"ALTER USER {quoted(name)}{cluster} {how} {settings}",
            f"GRANT{cluster} {grants} TO {quoted(name)}",
        ]

    def grants(self, account: ServerUser) -> list[Grant]:
        """Return the grants of an account, for each table on the server (on a cluster also `X_local`)."""
        ends = ("", "_local") if self.cluster else ("",)
        found = [
            (what, table + end, columns)
            for what, table, columns in GRANTS[account]
            if plane_of(table) in self.planes
            for end in ends
        ]
        # Which holds no data (`warehouse/queries/shard_sums.py`).
        return [*found, ("SELECT", "shards", ())] if found and self.cluster and account not in WRITERS else found

    def right(self, account: ServerUser) -> set[tuple[str, str, str]]:
        """Return the same grants in the form of `system.grants`: (privilege, table, column)."""
        return {(what, table, column) for what, table, columns in self.grants(account) for column in columns or ("",)}

    def take_back(self, account: ServerUser, held: Iterable[tuple[str, str, str]]) -> list[str]:
        """Return statements that revoke the grants a user has but should not have."""
        right = self.right(account)
        name = quoted(account.user(self.database))
        return [
            f"REVOKE{on_cluster(self.cluster)} {self._clause((what, table, (column,) if column else ()))} FROM {name}"
            for what, table, column in held
            if (what, table, column) not in right
        ]

    def open_view(self, view: str) -> str:
        """Return a statement that runs a view without checking the inserting user. The loader then needs no SELECT."""
        return f"ALTER TABLE {quoted(view)}{on_cluster(self.cluster)} MODIFY SQL SECURITY NONE"

    def _clause(self, grant: Grant) -> str:
        what, table, columns = grant
        where = f"{quoted(self.database)}.{quoted(table)}" if table else "*.*"
        return f"{what}({', '.join(map(quoted, columns))}) ON {where}" if columns else f"{what} ON {where}"
