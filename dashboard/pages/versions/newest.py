"""The newest releases of the module of an address, for the cards that show them."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard import messages
from dashboard import releases as of_module
from dashboard.conditions import OF_VERSIONS, among, not_applied
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters, unfiltered, without
from dashboard.regions import Instead
from dashboard.releases import Release
from dashboard.tables import NOTHING

# A release is a version itself. The question `adoption` takes neither a feature nor what the license plane holds.
NOT_ASKED = (*OF_VERSIONS, "feature", "license_source")


@dataclass(frozen=True)
class Newest:
    """The newest releases, the newest first, by the installs that meet the filters; `left` are not applied."""

    chosen: Filters
    left: Mapping[str, str]
    releases: list[Release]

    @property
    def installs(self) -> str:
        """The installs that are counted, in words."""
        return among(self.chosen.conditions)

    @property
    def not_applied(self) -> str:
        """What says that some filters are not applied; empty if all are."""
        return not_applied(self.left)

    @property
    def calls(self) -> list[str]:
        """The calls of the read API that answer with the adoption."""
        return [api_call("adoption", of_module.adoption_args(self.chosen, one.version)) for one in self.releases]


def newest(data: DataSource, search: str) -> Instead | Newest:
    """At least one release of the module, or what a card shows instead. Raises `QueryError` and `EngineError`.

    Which releases are the newest, and when they came out, does not depend on the filters.
    """
    asked = data.chosen(search)
    if not asked.module:
        return NOTHING
    chosen, left = without(asked, NOT_ASKED)
    found = of_module.newest(data, unfiltered(chosen))
    if found and chosen.conditions:
        found = of_module.of_those(data, chosen, found)
    return Newest(chosen, left, found) if found else Instead(messages.too_few(data.k))
