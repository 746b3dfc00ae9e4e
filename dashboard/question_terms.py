"""Under which terms a role asks the questions of the read API, through a page or with a token."""

from datetime import date, timedelta

from core.catalog import Catalog
from core.credentials import Role
from core.settings import Settings
from warehouse.queries.questions import Terms


def is_limited(role: Role, settings: Settings) -> bool:
    """Whether questions of this role count only days that are over."""
    return role is not Role.ADMIN and settings.k > 1


def question_terms(role: Role, settings: Settings, catalog: Catalog, today: date) -> tuple[Terms, date]:
    """The terms, and the last day that counts."""
    limited = is_limited(role, settings)
    # Rounded figures never differ by 1 to k - 1, which is what mode `strict` prevents.
    careful = limited and settings.strict and not settings.rounded
    terms = Terms(settings.k, rounded=settings.rounded or careful, established=careful, catalog=catalog)
    return terms, today - timedelta(days=1) if limited else today
