"""Says which plane a table belongs to, and so which server holds it when the license plane has its own. Pure."""

import re
from typing import Literal

Plane = Literal["usage", "license"]
PLANES: tuple[Plane, ...] = ("usage", "license")
# All other tables live with the usage plane: also those for owners' requests, which name no install of either plane.
LICENSE = frozenset(
    {
        "license_sightings",
        "license_sources_by_month",
        "license_states",
        "license_beacons_per_hour",
        "sightings_by_install",
        "license_keys",
        "license_cases",
        "license_registry",
        "license_flags",
        "license_incidents",
        "license_states_key",
        "owner_statements",
        "retired_license_installs",
        "installs_per_day_by_license_source",  # until it is dropped
    }
)
# Each server has these tables: the progress of its migrations.
EVERYWHERE = frozenset({"migrations", "filled_months"})
_CHANGED = re.compile(
    r"(?:CREATE (?:TABLE|MATERIALIZED VIEW) IF NOT EXISTS|ALTER TABLE|DROP TABLE IF EXISTS|INSERT INTO)\s+(\w+)"
)


def plane_of(table: str) -> Plane:
    """Return the plane of a table, or of a materialized view `TABLE_from_...`."""
    return "license" if table.partition("_from_")[0] in LICENSE else "usage"


def belongs(statement: str, planes: tuple[Plane, ...]) -> bool:
    """Return whether a statement of an SQL file runs on a server with these planes: whether the table it changes does.

    A statement names the tables of one plane only.
    """
    changed = _CHANGED.match(statement)
    if changed is None:
        raise ValueError(f"the statement changes no table: {statement[:60]}")
    return changed[1] in EVERYWHERE or plane_of(changed[1]) in planes
