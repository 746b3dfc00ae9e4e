"""What features and modules are called on the pages: by the catalog."""

from dataclasses import dataclass
from datetime import date

from core.catalog import Catalog, Kind

EXPIRED, UNDECLARED = "Expired", "Undeclared"


@dataclass(frozen=True)
class Called:
    """The name on the wire, the catalog's title ("" for none), what there is to say about it, and whether it is stored.

    `mark` says why it is stored no longer, "" while it is.
    """

    name: str
    title: str
    about: str
    mark: str

    @property
    def label(self) -> str:
        """All of it in one line."""
        label = f"{self.title} ({self.name})" if self.title else self.name
        return f"{label} · {self.mark.lower()}" if self.mark else label


def called(catalog: Catalog, kind: Kind, name: str, today: date) -> Called:
    """What something is called."""
    entry = catalog.entries.get((kind, name))
    if entry is None:
        mark = "" if catalog.stores(kind, name, today) else UNDECLARED
        return Called(name, "", f"{name}: not in the catalog" if mark else name, mark)
    about = f"{name}: {entry.purpose} (owner: {entry.owner}"
    about += f"; stored until {entry.expires})" if entry.expires else ")"
    return Called(name, entry.title, about, EXPIRED if entry.expired(today) else "")
