"""`pharos doctor`: check an installation. Each check has a stable id and prints one line. It writes nothing."""

import contextlib
import http.client
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import msgspec

from collector.country import Countries, CountryError
from collector.rights.request_store import RequestStore
from collector.spool import Spool, Unavailable, check_clock, check_space
from core import parts
from core.catalog import CatalogError, watch
from core.credentials import Credentials, Role
from core.home import Home, HomeError
from core.outbox import Outbox, OutboxError
from core.owner import user_name
from core.settings import Bind, SettingError, Settings
from pharos.checks import Check
from pharos.context import become_home_owner, left_behind
from warehouse import retention
from warehouse.engine import Engine, EngineError
from warehouse.export_socket import ExportClient
from warehouse.licensing import addresses, state_rows, states_key
from warehouse.licensing.addresses import Concentration
from warehouse.plane_tables import PLANES
from warehouse.server_users import ServerUser

LATE_SECONDS = 300
RIGHTS_LATE_SECONDS = 3600
# The pauses of the webhook grow to an hour, and after a day an event is dropped.
WEBHOOK_LATE_SECONDS = 2 * 3600
ANSWER_SECONDS = 10.0
EMBEDDED = "embedded: no users, only the code separates the planes"
EMBEDDED_STATES = "embedded: sealed with the root secret of this home"


def checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """Run all checks in order. Skips the checks that depend on a failed one."""
    try:
        settings = Settings.from_environ(environ)
        yield Check("config", True, "settings are valid")
    except SettingError as error:
        yield Check("config", False, str(error))
        return
    try:
        become_home_owner(settings)
    except HomeError as error:
        yield Check("home", False, str(error))
        return
    home = Home(settings.home, make=False)
    yield (found := _home(home))
    # Without the right to enter it, no check could see what is in it.
    if not found.ok and not (os.path.isdir(home.path) and os.access(home.path, os.R_OK | os.X_OK)):  # noqa: PTH112
        return
    yield _secret(settings, home)
    yield _credentials(home)
    yield _keys(home)
    yield _country(settings)
    yield _catalog(settings, home)
    yield from _spool(home)
    yield _webhook(settings, home)
    yield _space(home)
    yield _clock(time.time())
    yield _parts(settings, home)
    yield from (_server(settings, home) if settings.clickhouse_url else _embedded(settings, home))


def _home(home: Home) -> Check:
    place = _existing(home)
    if place != home.path:
        if not os.access(place, os.W_OK | os.X_OK):
            return Check("home", False, f"{home.path} cannot be created: {place} is not writable")
        return Check(
            "home", True, f"warning: {home.path} is not there yet. If Pharos has run before, PHAROS_HOME is wrong"
        )
    if not home.path.is_dir():
        return Check("home", False, f"{home.path} is not a folder")
    if not os.access(home.path, os.W_OK | os.X_OK):
        return Check("home", False, home.why_not_writable())
    if home.restoring.exists():
        return Check("home", False, f"the restore into {home.path} did not finish: run it again")
    mode, owner = stat.S_IMODE(home.path.stat().st_mode), home.path.stat().st_uid
    if mode & 0o077:
        return Check("home", False, f"{home.path} is accessible to other users (mode {mode:o}): run chmod 700")
    if foreign := sorted(path.name for path in home.path.iterdir() if path.lstat().st_uid != owner):
        user = user_name(owner)
        return Check("home", False, f"{', '.join(foreign)} in {home.path} do not belong to {user}: chown -R {user} it")
    return Check("home", True, str(home.path))


def _existing(home: Home) -> Path:
    """The home, or the folder in which it will be created."""
    for path in (home.path, *home.path.parents):
        with contextlib.suppress(PermissionError):
            if path.exists():
                return path
    return Path("/")


def _secret(settings: Settings, home: Home) -> Check:
    if fault := home.secret_fault(settings):
        return Check("secret", False, fault)
    if settings.secret:
        return Check("secret", True, "from PHAROS_SECRET or PHAROS_SECRET_FILE")
    if not home.secret.exists():
        return Check("secret", True, "is created at the first start")
    mode = stat.S_IMODE(home.secret.stat().st_mode)
    advice = "" if mode != 0o600 else "; stored beside the data: keep it elsewhere and set PHAROS_SECRET_FILE"
    return Check("secret", mode == 0o600, f"{home.secret}, mode {mode:o}{advice}")


def _credentials(home: Home) -> Check:
    if not home.credentials.exists():
        return Check("credentials", True, "are created at the first start")
    try:
        credentials = Credentials(home.credentials, only_read=True)
        keys, users = credentials.keys(), credentials.users()
    except (sqlite3.Error, OSError) as error:
        return Check("credentials", False, f"{home.credentials} cannot be read: {error}")
    admins = sum(user.role is Role.ADMIN for user in users)
    # The home of a separate collector has only keys, the home of a separate dashboard only logins.
    return Check(
        "credentials",
        bool(admins or (keys and not users)),
        f"{len(keys)} ingest keys, {len(users)} users, {admins} of them admins",
    )


def _keys(home: Home) -> Check:
    """Warn about unbound keys. This is no failure, because the first start knows no modules."""
    try:
        keys = Credentials(home.credentials, only_read=True).keys() if home.credentials.exists() else []
    except (sqlite3.Error, OSError):
        return Check("keys", False, f"{home.credentials} cannot be read")
    unbound = [key.id for key in keys if not key.modules]
    if not unbound:
        return Check("keys", True, "each ingest key is bound to its modules")
    return Check(
        "keys",
        True,
        f"warning: {', '.join(unbound)} bound to no module: anybody who finds such a key in a module can send beacons "
        "of any module (pharos keys new --module M)",
    )


def _country(settings: Settings) -> Check:
    if not settings.country_database:
        return Check("country", True, "no database: countries are not looked up")
    try:
        made = Countries(Path(settings.country_database)).made
    except CountryError as error:
        return Check("country", False, f"PHAROS_COUNTRY_DATABASE {error}")
    return Check("country", True, f"data of {made:%Y-%m-%d}, {(datetime.now(UTC) - made).days} days old")


def _catalog(settings: Settings, home: Home) -> Check:
    try:
        catalog = watch(settings, home)()
    except CatalogError as error:
        return Check("catalog", False, str(error))
    today = datetime.now(UTC).date()
    expired = sum(each.expired(today) for each in catalog.entries.values())
    return Check(
        "catalog",
        True,
        "mode open, no entries: all is stored" if catalog.takes_all else f"{catalog}; {expired} of them expired",
    )


def _spool(home: Home) -> Iterator[Check]:
    if not home.spool.exists():
        yield Check("spool", True, "is created at the first start")
        yield Check("duplicates", True, "no ids yet")
        yield Check("quarantine", True, "nothing loaded yet")
        yield Check("rights", True, "no requests yet")
        return
    try:
        with contextlib.closing(Spool(home.spool, only_read=True)) as spool:
            stats, duplicates, pending = spool.stats(), _duplicates(spool), RequestStore(spool).oldest_pending()
    except (sqlite3.Error, OSError) as error:
        yield Check("spool", False, f"{home.spool} cannot be read: {error}")
        return
    age = 0 if stats.oldest is None else int(time.time() - stats.oldest)
    message = f"{stats.beacons} beacons to load" + (f", the oldest for {age} s" if stats.beacons else "")
    yield Check("spool", age < LATE_SECONDS, message)
    yield duplicates
    yield Check("quarantine", not stats.quarantined, f"{stats.quarantined} rows rejected by ClickHouse")
    waited = 0 if pending is None else int(time.time() - pending)
    yield Check(
        "rights",
        waited < RIGHTS_LATE_SECONDS,
        "no owner's request waits" if pending is None else f"the oldest owner's request has waited for {waited} s",
    )


def _webhook(settings: Settings, home: Home) -> Check:
    if not settings.webhook_url:
        return Check("webhook", True, "none is set")
    try:
        told = Outbox(home.dashboard).told_from_outside()
    except OutboxError as error:
        return Check("webhook", False, str(error))
    if told is None:
        return Check("webhook", True, "nothing to send yet")
    age = 0 if told.oldest is None else int(time.time() - told.oldest)
    texts = [f"{told.waiting} events to send" + (f", the oldest for {age} s" if told.waiting else "")]
    if told.delivered is not None:
        texts.append(f"the last was taken {datetime.fromtimestamp(told.delivered, UTC):%Y-%m-%dT%H:%M:%SZ}")
    if told.trouble:
        texts.append(f"since then the receiver: {told.trouble}")
    return Check("webhook", age < WEBHOOK_LATE_SECONDS, "; ".join(texts))


def _space(home: Home) -> Check:
    try:
        check_space(_existing(home))
    except Unavailable as error:
        return Check("space", False, f"{error} at {home.path}; the collector accepts no beacons until there is more")
    return Check("space", True, "enough")


def _clock(now: float) -> Check:
    try:
        check_clock(now)
    except Unavailable as error:
        return Check("clock", False, f"{error}; the collector accepts no beacons")
    return Check("clock", True, f"shows {datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}")


def _duplicates(spool: Spool) -> Check:
    try:
        spool.duplicates.refresh()
    except Unavailable as error:
        return Check("duplicates", False, str(error))
    except sqlite3.OperationalError:  # a spool of an older version; the next start migrates it
        return Check("duplicates", True, "are filed at the next start")
    segments = spool.duplicates.segments
    return Check("duplicates", True, f"{sum(each.ids for each in segments)} ids filed in {len(segments)} files")


def _parts(settings: Settings, home: Home) -> Check:
    """Check which parts run on this machine with this home, and whether they respond."""
    running = [part for part in ("serve", "collector", "dashboard") if home.is_locked(part)]
    wrong = {
        down.part: f"{down.part} is down since {datetime.fromtimestamp(down.since, UTC):%Y-%m-%dT%H:%M:%SZ}: {down.why}"
        for down in parts.down(home)
    }
    for part, bind in parts.addresses(home, settings).items():
        if ("serve" in running or part in running) and part not in wrong and (why := _unresponsive_reason(bind)):
            wrong[part] = f"{part} does not answer at {bind}: {why}"
    if wrong:
        return Check("parts", False, "; ".join(wrong.values()))
    return Check("parts", True, f"{', '.join(running)} running" if running else "none running")


def _unresponsive_reason(bind: Bind) -> str:
    """Return why a part does not respond, "" if it responds."""
    connection = http.client.HTTPConnection(bind.host, bind.port, timeout=10)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return getattr(error, "strerror", "") or str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if status == 200 else f"it answers {status}"


def _embedded(settings: Settings, home: Home) -> Iterator[Check]:
    """Check the embedded engine through the process that owns it. Opening it here would write its files."""
    if home.is_locked("engine"):
        yield (found := _running(parts.addresses(home, settings)["dashboard"]))
        yield Check("grants", True, EMBEDDED)
        if found.ok:
            client = ExportClient(home, ANSWER_SECONDS)
            yield _retention(client.retention_faults, None)
            yield _addresses(client.concentration)
        yield _told_states(home, EMBEDDED_STATES)
        return
    if home.engine.exists() and find_spec("chdb") is None:
        yield Check("engine", False, "the embedded ClickHouse is not installed: pip install 'pharos[embedded]'")
        return
    state = "is checked while Pharos runs" if home.engine.exists() else "is created at the first start"
    yield Check("engine", True, f"embedded, {state}")
    yield Check("grants", True, EMBEDDED)
    yield Check("retention", True, f"the embedded engine {state}")
    yield Check("addresses", True, f"the embedded engine {state}")
    yield _told_states(home, EMBEDDED_STATES)


def _server(settings: Settings, home: Home) -> Iterator[Check]:
    if warning := left_behind(home):
        yield Check("engine", True, f"warning: {warning}")
    try:
        engine = Engine(settings, home)
    except EngineError as error:
        yield Check("engine", False, str(error))
        return
    try:
        answering = [_answers(server) for server in engine.servers]
        yield from answering
        if all(check.ok for check in answering) and all(server.has_database() for server in engine.servers):
            yield _grants(engine)
            yield _retention(lambda: retention.faults(engine), settings)
            yield _addresses(lambda: addresses.concentration(engine))
            yield _states(engine, home)
    except EngineError as error:
        yield Check("engine", False, str(error))
    finally:
        engine.close()


def _answers(server: Engine) -> Check:
    planes = "" if server.planes == PLANES else f" of the {server.planes[0]} plane"
    try:
        return Check("engine", True, f"server{planes}, ClickHouse {server.version()}")
    except EngineError as error:
        setting = "PHAROS_LICENSE_CLICKHOUSE_URL" if server.planes == ("license",) else "PHAROS_CLICKHOUSE_URL"
        return Check("engine", False, f"{str(error).rstrip('.')}; the address and the login are in {setting}")


def _grants(engine: Engine) -> Check:
    for server, account in ((each, account) for each in engine.servers for account in each.accounts):
        try:
            ((user,),) = server.as_user(account).query("SELECT currentUser()")
        except EngineError as error:
            return Check("grants", False, f"{account}: {error}")
        if server.one_user:
            return Check("grants", False, f"all tables are read as the user {user}: {server.one_user}")
    return Check(
        "grants", True, "each plane is read, and the tables are filled, by a separate user without other rights"
    )


def _retention(faults: Callable[[], list[str] | None], settings: Settings | None) -> Check:
    """Compare the documented retention with the tables' settings and with the data that is present.

    `settings` is None where a running Pharos compares: it has settings of its own.
    """
    try:
        wrong = faults()
    except EngineError as error:
        return Check("retention", False, str(error))
    if wrong is None:
        return Check("retention", True, "the tables are created at the first start")
    if wrong:
        return Check("retention", False, ", ".join(wrong))
    if settings is None:
        return Check("retention", True, "as the running Pharos is set")
    kept = retention.kept_under(settings)
    return Check("retention", True, ", ".join(f"{each.name} {each.how_long}" for each in kept if each.time))


def _addresses(concentration: Callable[[], Concentration]) -> Check:
    """Warn if most installs report from one address: then the recorded address is that of a proxy."""
    try:
        found = concentration()
    except EngineError as error:
        return Check("addresses", False, str(error))
    if not found.suspicious:
        return Check("addresses", True, f"no address has most of the {found.installs} installs of the last days")
    return Check(
        "addresses",
        True,
        f"warning: {found.largest} of {found.installs} installs of the last {addresses.DAYS} days report from one "
        "address: is it a proxy that PHAROS_TRUSTED_PROXIES does not count?",
    )


def _states(engine: Engine, home: Home) -> Check:
    """Unseal what an install reported, if any did: this needs the key with which the loader seals."""
    reader = engine.as_user(ServerUser.LICENSING)
    try:
        states_key.require(reader)
        found = state_rows.after(reader, ("", 0), 1)
        state_rows.read(reader, found)
    except EngineError as error:
        return Check("states", False, str(error))
    return _told_states(home, "license reports can be read" if found else "no license report is sealed yet")


def _told_states(home: Home, message: str) -> Check:
    """Warn if the last pass of the loader of this home could not read the license reports of some installs."""
    unreadable = 0
    with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(Spool(home.spool, only_read=True)) as spool:
        unreadable = spool.unreadable()
    if unreadable:
        message = (
            f"warning: license reports of {unreadable} installs cannot be read and are left out: they were sealed "
            "under another key, or are damaged; they are deleted after 30 days"
        )
    return Check("states", True, message)


def _running(dashboard: Bind) -> Check:
    connection = http.client.HTTPConnection(dashboard.host, dashboard.port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        return Check("engine", False, f"another process holds it, and the dashboard does not answer: {error}")
    finally:
        connection.close()
    why = ""
    if status != 200:
        with contextlib.suppress(msgspec.DecodeError):
            why = f": {msgspec.json.decode(body, type=_Problem).detail}"
    return Check("engine", status == 200, f"embedded, in the running dashboard, which answers {status}{why}")


class _Problem(msgspec.Struct):
    """What the dashboard says when it cannot read the figures."""

    detail: str
