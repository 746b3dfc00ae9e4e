"""The key of license reports that a database belongs to, so that a home with another root secret is told so."""

import base64

import msgspec

from warehouse.engine import Engine
from warehouse.licensing.state_codec import OtherKey, Unreadable

TABLE = "license_states_key"
# Two loaders that start at the same time have the same token, so that only one of them records its key.
ONCE = "the key of this database"
# States of which a loader reads at least half before it records its key for a database of an earlier version.
SAMPLE = 1000


def recorded(engine: Engine) -> str:
    """Return the fingerprint of the key of the database, "" if none is recorded. Raises `EngineError`."""
    engine = engine.of(TABLE)
    # A dashboard may come before the migration.
    there = engine.query(
        "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = {table:String}", {"table": TABLE}
    )
    found = engine.query(f"SELECT fingerprint FROM {TABLE} LIMIT 1") if there else []  # noqa: S608
    return str(found[0][0]) if found else ""


def is_of_another(engine: Engine) -> bool:
    """Return whether another key is recorded than that of this engine. Changes nothing. Raises `EngineError`.

    For a process without a key it is not: it may migrate, and the loader, which has one, claims.
    """
    server = engine.of(TABLE)
    if not server.has_database() or not (known := recorded(server)):
        return False
    try:
        return known != server.seal.fingerprint
    except Unreadable:
        return False


def require(engine: Engine) -> None:
    """Raise `OtherKey` if another key is recorded than that of this engine. Changes nothing. Raises `EngineError`."""
    if is_of_another(engine):
        raise other_key(engine)


def claim(engine: Engine) -> None:
    """Record the key of this engine if none is recorded. Raises `EngineError`.

    Raises `OtherKey` if another one is recorded, or if the states of the database are sealed under another one.
    """
    server = engine.of(TABLE)
    own, known = server.seal.fingerprint, recorded(server)
    if not known:
        if not _reads(server):
            raise other_key(server)
        server.insert(TABLE, [msgspec.json.encode({"fingerprint": own})], ONCE)
        server.synchronize(TABLE)
        known = recorded(server)
    if known != own:
        raise other_key(server)


def forget(engine: Engine) -> None:
    """Record no key: for a database without rows. Raises `EngineError`."""
    server = engine.of(TABLE)
    server.command(f"TRUNCATE TABLE {server.altered(TABLE)}")


def other_key(engine: Engine) -> OtherKey:
    """Return the error of a home that does not have the key of its database."""
    return OtherKey(
        f"the license reports in the database {engine.of(TABLE).database} were sealed under another key: PHAROS_SECRET "
        "must be the root secret of the home that filled it, or PHAROS_STATES_KEY must be set to what is in states.key "
        "in that home; an install that reports to collectors with different root secrets counts twice"
    )


def _reads(server: Engine) -> bool:
    """Return whether the key reads at least half of the states, of which some may be of another home."""
    found = server.query(
        f"SELECT module::String, install, sealed FROM license_states ORDER BY module, install LIMIT {SAMPLE}"  # noqa: S608
    )
    opened = sum(server.seal.opens(module, install, base64.b64decode(sealed)) for module, install, sealed in found)
    return 2 * opened >= len(found)
