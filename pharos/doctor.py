"""`pharos doctor`: is all in place? One check, one stable id, one line."""

import http.client
import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from collector.country import Countries, CountryError
from collector.spool import Spool, Unavailable
from core.catalog import CatalogError, watch
from core.credentials import Credentials, Role
from core.home import Home, HomeError
from core.settings import SettingError, Settings
from warehouse import retention
from warehouse.engine import Engine, EngineError
from warehouse.server_users import ServerUser

LATE_SECONDS = 300
EMBEDDED = "embedded: no users, the planes are separated in the code alone"


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    id: str
    ok: bool
    message: str


def checks(environ: Mapping[str, str]) -> Iterator[Check]:
    """All checks in order; those that make no sense after one that failed are left out."""
    try:
        settings = Settings.from_environ(environ)
        yield Check("config", True, "settings are valid")
    except SettingError as error:
        yield Check("config", False, str(error))
        return
    try:
        home = Home(settings.home)
    except HomeError as error:
        yield Check("home", False, str(error))
        return
    yield _home(home)
    yield _secret(settings, home)
    yield _credentials(home)
    yield _keys(home)
    yield _country(settings)
    yield _catalog(settings, home)
    yield from _spool(home)
    yield from _engine(settings, home)


def _home(home: Home) -> Check:
    mode = stat.S_IMODE(home.path.stat().st_mode)
    if not os.access(home.path, os.W_OK | os.X_OK):
        return Check("home", False, f"{home.path} cannot be written")
    if home.restoring.exists():
        return Check("home", False, f"the restore into {home.path} did not come to its end: run it again")
    if mode & 0o077:
        return Check("home", False, f"{home.path} is open to others (mode {mode:o}): chmod 700 it")
    return Check("home", True, str(home.path))


def _secret(settings: Settings, home: Home) -> Check:
    if settings.secret:
        return Check("secret", True, "from PHAROS_SECRET")
    if not home.secret.exists():
        return Check("secret", True, "is made at the first start")
    mode = stat.S_IMODE(home.secret.stat().st_mode)
    advice = "" if mode != 0o600 else "; beside the data: better give it from elsewhere, by PHAROS_SECRET_FILE"
    return Check("secret", mode == 0o600, f"{home.secret}, mode {mode:o}{advice}")


def _credentials(home: Home) -> Check:
    if not home.credentials.exists():
        return Check("credentials", True, "are made at the first start")
    try:
        credentials = Credentials(home.credentials)
        keys, users = credentials.keys(), credentials.users()
    except sqlite3.Error as error:
        return Check("credentials", False, f"{home.credentials} cannot be read: {error}")
    admins = sum(user.role is Role.ADMIN for user in users)
    # The home of a collector alone has only keys, that of a dashboard alone only logins.
    return Check(
        "credentials", bool(keys or admins), f"{len(keys)} ingest keys, {len(users)} users, {admins} of them admins"
    )


def _keys(home: Home) -> Check:
    """No failure: the first start knows no module that a key could be bound to."""
    try:
        keys = Credentials(home.credentials).keys() if home.credentials.exists() else []
    except sqlite3.Error:
        return Check("keys", False, f"{home.credentials} cannot be read")
    unbound = [key.id for key in keys if not key.modules]
    if not unbound:
        return Check("keys", True, "each ingest key is bound to its modules")
    return Check(
        "keys",
        True,
        f"warning: {', '.join(unbound)} bound to no module: who finds such a key in a module may send beacons of any "
        "(pharos keys new --module M)",
    )


def _country(settings: Settings) -> Check:
    if not settings.country_database:
        return Check("country", True, "no database, so no country is looked up")
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
        "none, so all that fits is stored" if catalog.takes_all else f"{catalog}; {expired} of them expired",
    )


def _spool(home: Home) -> Iterator[Check]:
    try:
        spool = Spool(home.spool)
        stats = spool.stats()
    except sqlite3.Error as error:
        yield Check("spool", False, f"{home.spool} cannot be used: {error}")
        return
    age = 0 if stats.oldest is None else int(time.time() - stats.oldest)
    message = f"{stats.beacons} beacons to load" + (f", the oldest for {age} s" if stats.beacons else "")
    yield Check("spool", age < LATE_SECONDS, message)
    yield _duplicates(spool)
    yield Check("quarantine", not stats.quarantined, f"{stats.quarantined} rows that ClickHouse refused")
    try:
        spool.check_space()
        yield Check("space", True, "enough")
    except Unavailable as error:
        yield Check("space", False, str(error))
    spool.close()


def _duplicates(spool: Spool) -> Check:
    try:
        spool.duplicates.refresh()
    except Unavailable as error:
        return Check("duplicates", False, str(error))
    segments = spool.duplicates.segments
    return Check("duplicates", True, f"{sum(each.ids for each in segments)} ids filed in {len(segments)} files")


def _engine(settings: Settings, home: Home) -> Iterator[Check]:
    """A running system is asked; where none runs, the engine is opened here."""
    try:
        engine = Engine(settings, home)
    except HomeError:
        yield _running(settings)
        yield Check("grants", True, EMBEDDED)
        yield Check("retention", True, "Pharos runs over the embedded engine: stop it to have this looked at")
        return
    except EngineError as error:
        yield Check("engine", False, str(error))
        return
    try:
        yield Check("engine", True, f"{'embedded' if engine.embedded else 'server'}, ClickHouse {engine.version()}")
        if engine.has_database():
            yield _grants(engine)
            yield _retention(engine)
    except EngineError as error:
        yield Check("engine", False, str(error))
    finally:
        engine.close()


def _grants(engine: Engine) -> Check:
    if engine.embedded:
        return Check("grants", True, EMBEDDED)
    for account in ServerUser:
        try:
            ((user,),) = engine.as_user(account).query("SELECT currentUser()")
        except EngineError as error:
            return Check("grants", False, f"{account}: {error}")
        if engine.one_user:
            return Check("grants", False, f"both planes are read as the user {user}: {engine.one_user}")
    return Check("grants", True, "each plane is read, and the tables are filled, as a user who can do nothing else")


def _retention(engine: Engine) -> Check:
    """What is promised, what the tables are set to, and what is there all the same."""
    found = retention.as_set(engine)
    if not found:
        return Check("retention", True, "the tables are made at the first start")
    kept = [kept for kept in retention.KEPT if kept.interval]
    wrong = [f"{each.name} is set to {found.get(each.name) or 'for ever'}" for each in kept if not each.set_in(found)]
    late = dict.fromkeys(each.name for each, _ in retention.overdue(engine, retention.ALARM_DAYS))
    wrong += [f"{name} holds older ones" for name in late]
    if wrong:
        return Check("retention", False, ", ".join(wrong))
    return Check("retention", True, ", ".join(f"{each.name} {each.how_long}" for each in kept))


def _running(settings: Settings) -> Check:
    connection = http.client.HTTPConnection(settings.dashboard_bind.host, settings.dashboard_bind.port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return Check("engine", False, f"another process holds it, and the dashboard does not answer: {error}")
    finally:
        connection.close()
    return Check("engine", status == 200, f"embedded, in the running dashboard, which answers {status}")
