"""The names that pages show for features and modules, from the catalog."""

from dataclasses import dataclass
from datetime import date

from core.catalog import Catalog, Kind
from dashboard.glossary import TERMS
from warehouse.queries import dimensions

# How pages show the dimensions of the read API; `glossary.py` defines them.
DIMENSIONS = {name: TERMS[name].title for name in dimensions.ALL}
EXPIRED, UNDECLARED = "Expired", "Undeclared"


@dataclass(frozen=True)
class DisplayName:
    """How a page shows a name.

    `name` is the name in beacons, `title` the catalog's title or "", `about` the tooltip. `mark` says why the name is
    no longer stored, and is "" while it is. `said` is its purpose and its owner, "" where the catalog does not have it.
    """

    name: str
    title: str
    about: str
    mark: str
    said: str = ""

    @property
    def label(self) -> str:
        """Title, name and mark in one line."""
        label = f"{self.title} ({self.name})" if self.title else self.name
        return f"{label} · {self.mark.lower()}" if self.mark else label


def display_name(catalog: Catalog, kind: Kind, name: str, today: date) -> DisplayName:
    """How pages show a feature or a module."""
    entry = catalog.entries.get((kind, name))
    if entry is None:
        mark = "" if catalog.stores(kind, name, today) else UNDECLARED
        return DisplayName(name, "", f"{name}: not in the catalog" if mark else name, mark)
    said = f"{entry.purpose} (owner: {entry.owner}"
    said += f"; stored until {entry.expires})" if entry.expires else ")"
    return DisplayName(name, entry.title, f"{name}: {said}", EXPIRED if entry.expired(today) else "", said)
