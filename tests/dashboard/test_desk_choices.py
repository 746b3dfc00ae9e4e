"""The filters of the cases, as links."""

from dashboard.pages import desk
from dashboard.pages.desk.choices import choices
from dashboard.report import text_of


def test_a_filter_of_the_cases_refines_the_page() -> None:
    """Each link replaces the address, as the filter bar does; also those that remove a filter."""
    found = [
        one
        for group in choices({"rule": "shared_key", "key": "ab"})
        for one in group._traverse()
        if hasattr(one, "href")
    ]
    assert [getattr(one, "data-refine", "") for one in found] == ["yes"] * len(found)
    offered = {text_of(one): one.href for one in found}
    assert offered["Critical"] == "/licensing?rule=shared_key&key=ab&severity=critical"
    assert offered["shared key ×"] == "/licensing?key=ab"
    assert offered["1 license key ×"] == "/licensing?rule=shared_key"


def test_cases_that_are_awaited_have_their_place() -> None:
    """Without it the page would be all but empty until they are read."""
    assert desk.layout()["desk-table"].className == "awaited"
