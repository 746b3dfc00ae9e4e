"""The settings: one row each for name, default, meaning; read from the environment, checked before anything starts.

Every `PHAROS_X` may also come as `PHAROS_X_FILE`, the path of a file that holds the value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from core.fields import VERSION
from core.passwords import weakness


class SettingError(Exception):
    """A setting that cannot be used; the message names it and never holds its value, which may be a secret."""


@dataclass(frozen=True)
class Bind:
    """An address to listen on."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _bind(text: str) -> Bind:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:]+)\]|([^:\s/]+)):(\d{1,5})", text)
    if not match or not 0 < int(match[3]) < 65536:
        raise ValueError("must be HOST:PORT")
    return Bind(match[1] or match[2], int(match[3]))


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


# Of a database or a cluster. ClickHouse makes files and users of such names.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_RESERVED_DATABASES = ("system", "information_schema")


def _clickhouse_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be http[s]://user:password@host:port/database")
    database = _database(text)
    if not _NAME.fullmatch(database) or database.lower() in _RESERVED_DATABASES:
        raise ValueError(
            "must end in the name of one database: letters, digits, _ . and -, at most 64, and none of ClickHouse's own"
        )
    return text


def _database(url: str) -> str:
    return unquote(urlsplit(url).path.strip("/")) or "default"


def _cluster(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be the name of a cluster: letters, digits, _ . and -, at most 64")
    return text


def _readers(text: str) -> str:
    if not re.fullmatch(r"product:[0-9a-f]{64} licensing:[0-9a-f]{64}", text):
        raise ValueError("must be what pharos migrate --readers writes")
    return text


def _text(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("must be printable text without blanks around it")
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return text

    return parse


def _policy_version(text: str) -> str:
    if not re.fullmatch(VERSION, text):
        raise ValueError(f"must match {VERSION}, as the policy that a beacon's consent names")
    return text


def _setting(default: Any, parse: Callable[[str], Any], doc: str) -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc})


@dataclass(frozen=True)
class Settings:
    """All settings, checked. `PHAROS_` + the upper-case name of a field is its name in the environment."""

    home: Path = _setting(Path("var"), lambda text: Path(_text(text)), "Where all is kept: spool, engine, credentials.")
    collector_bind: Bind = _setting(Bind("127.0.0.1", 8000), _bind, "Where the collector listens.")
    dashboard_bind: Bind = _setting(Bind("127.0.0.1", 8050), _bind, "Where the dashboard and the read API listen.")
    collector_workers: int = _setting(2, _whole(1, 64), "Processes that take beacons.")
    clickhouse_url: str = _setting(
        "", _clickhouse_url, "A ClickHouse server, http[s]://user:password@host:port/database; unset: embedded engine."
    )
    clickhouse_cluster: str = _setting("", _cluster, "Name of a ClickHouse cluster: replicated, distributed tables.")
    clickhouse_readers: str = _setting(
        "",
        _readers,
        "Passwords of the readers of a ClickHouse server, as pharos migrate --readers writes them; "
        "the URL then needs no login.",
    )
    k: int = _setting(5, _whole(1, 1_000_000), "Smallest group of installs that is ever shown.")
    query_seconds: int = _setting(
        5, _whole(1, 60), "Seconds that ClickHouse may take for one question of the dashboard or the read API."
    )
    figures: str = _setting(
        "exact",
        _one_of("exact", "rounded"),
        "Counts of installs: exact, or rounded down to multiples of PHAROS_K.",
    )
    disclosure: str = _setting(
        "standard",
        _one_of("standard", "strict"),
        "What two answers may tell by their difference: standard, or strict, which withholds the later one.",
    )
    trusted_proxies: int = _setting(0, _whole(0, 10), "Hops whose X-Forwarded-For is believed.")
    secret: str = _setting("", _text, "Root secret of all pseudonyms; unset: made once in the home.")
    ingest_key: str = _setting("", _text, "First ingest key, in place of a generated one.")
    admin_password: str = _setting("", _text, "Password of the first admin, in place of a generated one.")
    rate_limit: int = _setting(0, _whole(0, 10**9), "Beacons per minute and ingest key; 0: no limit.")
    # A host that relays for hundreds of installs sends batches of 500, one of them for each install a day.
    address_rate_limit: int = _setting(
        1000,
        _whole(0, 10**9),
        "Beacons per minute and address (of IPv6: its /64 network), but for loopback; 0: no limit.",
    )
    rights_rate_limit: int = _setting(
        600, _whole(1, 10**9), "Requests of owners (/v1/rights) per minute, from all addresses together."
    )
    country_database: str = _setting(
        "", _text, "An MMDB file, or the folder of Debian's tor-geoipdb (/usr/share/tor); unset: no country."
    )
    catalog: str = _setting(
        "", _text, "A TOML file of what may be stored, and why; unset: catalog.toml in the home, if it is there."
    )
    public_page: str = _setting(
        "off", _one_of("off", "on"), "Whether /privacy tells the world what is collected, without a login: off or on."
    )
    region: str = _setting("", _text, "Where all is held, for the public page: Frankfurt, Germany.")
    policy_version: str = _setting("", _policy_version, "Version of the privacy policy, for the public page: 2026-11.")
    contact: str = _setting("", _text, "Whom to ask about privacy, for the public page: privacy@example.com.")

    @property
    def clickhouse_database(self) -> str:
        """The database that `PHAROS_CLICKHOUSE_URL` names."""
        return _database(self.clickhouse_url)

    @property
    def strict(self) -> bool:
        """Whether what was told before limits what is told."""
        return self.disclosure == "strict"

    @property
    def rounded(self) -> bool:
        """Whether counts of installs are rounded down."""
        return self.figures == "rounded"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check; raises `SettingError` for an unknown `PHAROS_*` name and for a bad value."""
        known = {f"PHAROS_{f.name.upper()}": f for f in fields(cls)}
        values: dict[str, Any] = {}
        for name in sorted(environ):
            if not name.startswith("PHAROS_"):
                continue
            setting = known.get(name) or known.get(name.removesuffix("_FILE"))
            if setting is None:
                raise SettingError(f"{name} is no setting of Pharos; known are {', '.join(known)}")
            text = environ[name]
            if text == "":
                continue  # as unset: `docker compose` passes what is not given as an empty string
            if name not in known:
                if environ.get(name.removesuffix("_FILE")):
                    raise SettingError(f"{name} and {name.removesuffix('_FILE')} are both set")
                try:
                    text = Path(text).read_text(encoding="utf-8").rstrip("\r\n")
                except (OSError, ValueError) as error:
                    raise SettingError(f"{name}: the file cannot be read: {type(error).__name__}") from None
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                raise SettingError(f"{name} {error}") from None
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.clickhouse_cluster and not self.clickhouse_url:
            raise SettingError("PHAROS_CLICKHOUSE_CLUSTER needs PHAROS_CLICKHOUSE_URL")
        if self.clickhouse_readers and not self.clickhouse_url:
            raise SettingError("PHAROS_CLICKHOUSE_READERS needs PHAROS_CLICKHOUSE_URL")
        if self.collector_bind.loopback and self.dashboard_bind.loopback:
            return
        # Beyond loopback somebody else can try: what a person typed for a quick look is not enough there.
        for name, least in (("secret", 32), ("ingest_key", 20)):
            value = getattr(self, name)
            if value and (len(value) < least or len(set(value)) < 6 or "change" in value.lower()):
                raise SettingError(
                    f"PHAROS_{name.upper()} is too weak to listen outside loopback: at least {least} random characters"
                )
        if self.admin_password and (weak := weakness(self.admin_password, "admin")):
            raise SettingError(f"PHAROS_ADMIN_PASSWORD is too weak to listen outside loopback: {weak}")
