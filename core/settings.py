"""The settings: name, default and meaning of each. Read from the environment and checked before anything starts.

`PHAROS_X_FILE` may replace `PHAROS_X`: the path of a file that contains the value.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields, replace
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from core.fields import VERSION
from core.passwords import weakness
from core.thresholds import Thresholds
from core.thresholds import setting as _setting
from core.thresholds import whole as _whole


class SettingError(Exception):
    """A setting is unknown or invalid. The message names it, but never its value, which may be a secret."""


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


def bind(text: str) -> Bind:
    """Read `HOST:PORT`. Raises `ValueError` for anything else."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:]+)\]|([^:\s/]+)):(\d{1,5})", text)
    if not match or not 0 < int(match[3]) < 65536:
        raise ValueError("must be HOST:PORT")
    return Bind(match[1] or match[2], int(match[3]))


# The name of a database or a cluster. ClickHouse names files and users after it.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_RESERVED_DATABASES = ("system", "information_schema")


def _names_host(text: str, *schemes: str) -> bool:
    """Return whether a text is a URL of one of the schemes, with a host and, if any, a port."""
    try:
        url = urlsplit(text)
        return url.scheme in schemes and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False


def _clickhouse_url(text: str) -> str:
    if not _names_host(text, "http", "https"):
        raise ValueError("must be http[s]://user:password@host:port/database")
    database = _database(text)
    if not _NAME.fullmatch(database) or database.lower() in _RESERVED_DATABASES:
        raise ValueError(
            "must end in the name of a database: letters, digits, _ . and -, at most 64, and not reserved by ClickHouse"
        )
    return text


def _database(url: str) -> str:
    return unquote(urlsplit(url).path.strip("/")) or "default"


def _place(url: str) -> tuple[str | None, int, str]:
    """Return the host, port and database of a ClickHouse URL."""
    parts = urlsplit(url)
    return parts.hostname, clickhouse_port(url), _database(url)


def clickhouse_port(url: str) -> int:
    """Return the port of a ClickHouse URL."""
    parts = urlsplit(url)
    return parts.port or (8443 if parts.scheme == "https" else 8123)


def _smtp_url(text: str) -> str:
    usable = _names_host(text, "smtp", "smtps")
    sender = parse_qs(urlsplit(text).query).get("from", [""])[0] if usable else ""
    if sender.count("@") != 1 or not sender.isprintable():
        raise ValueError("must be smtp[s]://user:password@host:port?from=ADDRESS")
    return text


def _web_address(text: str) -> bool:
    """Return whether a text is the address of a page, without a login in it."""
    usable = _names_host(text, "http", "https") and text.isascii() and text.isprintable() and " " not in text
    return usable and not urlsplit(text).username and not urlsplit(text).fragment


def _webhook_url(text: str) -> str:
    if not _web_address(text):
        raise ValueError("must be http[s]://host[:port]/path")
    return text


def _dashboard_url(text: str) -> str:
    text = text.removesuffix("/")
    if not _web_address(text) or text != "{0.scheme}://{0.netloc}".format(urlsplit(text)):
        raise ValueError("must be http[s]://host[:port], without a path")
    return text


def _webhook_secret(text: str) -> str:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 random bytes")
    return text


def _cluster(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be the name of a cluster: letters, digits, _ . and -, at most 64")
    return text


def _readers(text: str) -> str:
    if not re.fullmatch(r"product:[0-9a-f]{64} licensing:[0-9a-f]{64}( desk:[0-9a-f]{64})?", text):
        raise ValueError("must be the output of pharos migrate --readers")
    return text


def _text(text: str) -> str:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("must be printable text without surrounding spaces")
    return text


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return text

    return parse


def _states_key(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("must be the content of states.key in the collector's home: 64 hexadecimal digits")
    return text


def _policy_version(text: str) -> str:
    if not re.fullmatch(VERSION, text):
        raise ValueError(f"must match {VERSION}, like the policy in a beacon's consent")
    return text


@dataclass(frozen=True)
class Settings(Thresholds):
    """All settings, validated. The environment name of a field is `PHAROS_` + its upper-case name."""

    home: Path = _setting(
        Path("var"), lambda text: Path(_text(text)), "Folder for all data: spool, engine, credentials."
    )
    collector_bind: Bind = _setting(Bind("127.0.0.1", 8000), bind, "Address that the collector listens on.")
    dashboard_bind: Bind = _setting(
        Bind("127.0.0.1", 8050), bind, "Address that the dashboard and the read API listen on."
    )
    collector_workers: int = _setting(2, _whole(1, 64), "Number of processes that accept beacons.")
    clickhouse_url: str = _setting(
        "", _clickhouse_url, "A ClickHouse server, http[s]://user:password@host:port/database; unset: embedded engine."
    )
    license_clickhouse_url: str = _setting(
        "", _clickhouse_url, "A ClickHouse server for the license plane alone; unset: the server of both planes."
    )
    clickhouse_cluster: str = _setting("", _cluster, "Name of a ClickHouse cluster: replicated, distributed tables.")
    clickhouse_readers: str = _setting(
        "",
        _readers,
        "Passwords of the readers of a ClickHouse server, written by pharos migrate --readers; "
        "the URL then needs no login.",
    )
    k: int = _setting(5, _whole(1, 1_000_000), "Smallest group of installs that Pharos shows.")
    query_seconds: int = _setting(
        5, _whole(1, 60), "Seconds that ClickHouse may take for one query of the dashboard or the read API."
    )
    figures: str = _setting(
        "exact",
        _one_of("exact", "rounded"),
        "Counts of installs: exact, or rounded down to multiples of PHAROS_K.",
    )
    disclosure: str = _setting(
        "standard",
        _one_of("standard", "strict"),
        "Protection of differences between two answers: standard, or strict, which withholds the later one.",
    )
    trusted_proxies: int = _setting(0, _whole(0, 10), "Number of proxies whose X-Forwarded-For is trusted.")
    secret: str = _setting("", _text, "Root secret of all pseudonyms; unset: generated once in the home.")
    states_key: str = _setting(
        "",
        _states_key,
        "Key that seals license reports, from states.key in the collector's home; unset: made of the root secret.",
    )
    ingest_key: str = _setting("", _text, "Ingest key that the first start of a home creates; unset: generated.")
    admin_password: str = _setting("", _text, "Password of the admin that the first start creates; unset: generated.")
    rate_limit: int = _setting(0, _whole(0, 10**9), "Beacons per minute and ingest key; 0: no limit.")
    # A host that relays for hundreds of installs sends batches of 500, with one beacon per install and day.
    address_rate_limit: int = _setting(
        1000,
        _whole(0, 10**9),
        "Beacons per minute and address (IPv6: /64 network), except loopback; 0: no limit.",
    )
    rights_rate_limit: int = _setting(
        600, _whole(1, 10**9), "Owner requests (/v1/rights) per minute, for all addresses together."
    )
    # The least covers what arrives late, and the time for which an insert may be repeated.
    raw_days: int = _setting(
        35, _whole(14, 400), "Days, 14 to 400, after receipt for which the usage plane keeps beacons one by one."
    )
    aggregate_months: int = _setting(25, _whole(3, 120), "Months for which the figures of the usage plane are kept.")
    country_database: str = _setting(
        "", _text, "An MMDB file, or the folder of Debian's tor-geoipdb (/usr/share/tor); unset: no country."
    )
    catalog: str = _setting(
        "", _text, "A TOML file that lists what may be stored, and why; unset: catalog.toml in the home, if it exists."
    )
    public_page: str = _setting(
        "off", _one_of("off", "on"), "Whether /privacy shows what is collected, without a login: off or on."
    )
    region: str = _setting("", _text, "Location of the data, for the public page: Frankfurt, Germany.")
    policy_version: str = _setting("", _policy_version, "Version of the privacy policy, for the public page: 2026-11.")
    contact: str = _setting("", _text, "Contact for privacy questions, for the public page: privacy@example.com.")
    dashboard_url: str = _setting(
        "",
        _dashboard_url,
        "Where people reach the dashboard, https://pharos.example.com, for links in e-mails and events; unset: none.",
    )
    smtp_url: str = _setting(
        "",
        _smtp_url,
        "A mail server for digests, smtp[s]://user:password@host:port?from=pharos@example.com; unset: none.",
    )
    webhook_url: str = _setting(
        "", _webhook_url, "Where events of flags and cases are posted, http[s]://host/path; unset: nowhere."
    )
    webhook_secret: str = _setting(
        "", _webhook_secret, "The secret that signs these events: whsec_ and the base64 of 24 to 64 random bytes."
    )
    metrics_token: str = _setting(
        "", _text, "A token with which Prometheus may read /metrics from another machine; unset: an admin token alone."
    )

    @property
    def clickhouse_database(self) -> str:
        """The database in `PHAROS_CLICKHOUSE_URL`."""
        return _database(self.clickhouse_url)

    @property
    def license_server(self) -> "Settings":
        """The same settings for the server of `PHAROS_LICENSE_CLICKHOUSE_URL`, which is no cluster."""
        return replace(
            self, clickhouse_url=self.license_clickhouse_url, license_clickhouse_url="", clickhouse_cluster=""
        )

    @property
    def strict(self) -> bool:
        """Whether earlier answers limit later ones."""
        return self.disclosure == "strict"

    @property
    def rounded(self) -> bool:
        """Whether counts of installs are rounded down."""
        return self.figures == "rounded"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check the settings. Raises `SettingError` for an unknown `PHAROS_*` name and an invalid value."""
        known = {f"PHAROS_{f.name.upper()}": f for f in fields(cls)}
        values: dict[str, Any] = {}
        for name in sorted(environ):
            if not name.startswith("PHAROS_"):
                continue
            setting = known.get(name) or known.get(name.removesuffix("_FILE"))
            if setting is None:
                close = get_close_matches(name.removesuffix("_FILE"), known, n=1)
                known_as = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
                raise SettingError(f"{name} is not a setting of Pharos; {known_as}")
            text = environ[name]
            if text == "":
                continue  # same as unset: `docker compose` passes missing values as empty strings
            if name not in known:
                if environ.get(name.removesuffix("_FILE")):
                    raise SettingError(f"{name} and {name.removesuffix('_FILE')} are both set")
                try:
                    text = Path(text).read_text(encoding="utf-8").rstrip("\r\n")
                except OSError as error:  # without the path, which may be the secret itself
                    why = (error.strerror or type(error).__name__).lower()
                    raise SettingError(f"{name}: the file cannot be read: {why}") from None
                except ValueError:
                    raise SettingError(f"{name}: the file is not text in UTF-8") from None
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
        if self.license_clickhouse_url and not self.clickhouse_url:
            raise SettingError("PHAROS_LICENSE_CLICKHOUSE_URL needs PHAROS_CLICKHOUSE_URL")
        if self.license_clickhouse_url and _place(self.license_clickhouse_url) == _place(self.clickhouse_url):
            raise SettingError("PHAROS_LICENSE_CLICKHOUSE_URL names the same database as PHAROS_CLICKHOUSE_URL")
        if bool(self.webhook_url) != bool(self.webhook_secret):
            raise SettingError("PHAROS_WEBHOOK_URL and PHAROS_WEBHOOK_SECRET need each other")
        if self.collector_bind.loopback and self.dashboard_bind.loopback:
            return
        # Outside loopback anybody can connect: reject weak values that somebody typed for a quick test.
        for name, least in (("secret", 32), ("ingest_key", 20), ("metrics_token", 20)):
            value = getattr(self, name)
            if value and (len(value) < least or len(set(value)) < 6 or "change" in value.lower()):
                raise SettingError(
                    f"PHAROS_{name.upper()} is too weak to listen outside loopback: at least {least} random characters"
                )
        if self.admin_password and (weak := weakness(self.admin_password, "admin")):
            raise SettingError(f"PHAROS_ADMIN_PASSWORD is too weak to listen outside loopback: {weak}")


def documented() -> list[Field[Any]]:
    """Return the fields of `Settings` in the order of their documentation: the thresholds of the rules last."""
    return sorted(fields(Settings), key=lambda each: each.name in Thresholds.__dataclass_fields__)
