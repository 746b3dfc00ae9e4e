"""The menu of saved views."""

from dataclasses import replace

import pytest

from core.credentials import Role
from core.saved_views import View, ViewError
from dashboard.views_menu import _list, _view


def nothing(_view: View) -> str:
    """No e-mail has failed."""
    return ""


def test_the_owner_of_a_view_sees_that_its_email_failed() -> None:
    """Others whom it is shared with do not, and neither does the owner of a view without an address."""
    failed = "Last e-mail failed at 30 Nov 2026, 12:00 UTC: the mail server does not accept the address."
    one = View("ann", "Mondays", "/", "", "product", "ann@example.com")
    for user, view, seen in (("ann", one, True), ("bob", one, False), ("ann", replace(one, mail=""), False)):
        (shown,) = _list([view], user, Role.PRODUCT, lambda _: failed, mails=True)
        assert (failed in str(shown)) == seen


@pytest.mark.parametrize(("mails", "said"), [(True, "by e-mail"), (False, "nothing is sent: no mail server is set")])
def test_a_view_says_whether_it_is_sent(mails: bool, said: str) -> None:
    """An address alone sends nothing."""
    (shown,) = _list(
        [View("ann", "Mondays", "/", "", "", "ann@example.com")], "ann", Role.PRODUCT, nothing, mails=mails
    )
    assert said in str(shown)
    (other,) = _list([View("ann", "Mondays", "/", "", "", "")], "ann", Role.PRODUCT, nothing, mails=mails)
    assert said not in str(other)


def test_nobody_is_offered_a_page_that_the_role_cannot_open() -> None:
    """A view of somebody else is left out. An own one, of a role before, stays, and says that nothing is sent."""
    views = [
        View("bob", "Cases of Bob", "/licensing", "", "product"),
        View("ann", "Mine", "/licensing", "", "", "a@b.example"),
    ]
    (shown,) = _list(views, "ann", Role.PRODUCT, nothing, mails=True)
    assert "nothing is sent: your role cannot open the page" in str(shown)
    assert len(_list(views, "ann", Role.ADMIN, nothing, mails=True)) == 2


@pytest.mark.parametrize(
    ("path", "shared", "mail", "said"),
    [
        ("/licensing", "product", "", "the role Product cannot open this page"),
        ("/data", "licensing", "", "the role Licensing cannot open this page"),
        ("/glossary", "-", "a@b.example", "cannot be sent by e-mail"),
        ("/licensing/installs", "-", "a@b.example", "cannot be sent by e-mail"),
    ],
)
def test_a_view_that_nobody_could_use_is_refused(path: str, shared: str, mail: str, said: str) -> None:
    """Neither is it shared with a role that cannot open it, nor would its e-mail ever come."""
    with pytest.raises(ViewError, match=said):
        _view("ann", Role.ADMIN, "Mine", shared, mail, path, "")
    assert _view("ann", Role.ADMIN, "Mine", "-", "", path, "").path == path


@pytest.mark.parametrize("path", ["/", "/licensing", "/licensing/trends", "/data"])
def test_what_can_be_sent_is_not_refused(path: str) -> None:
    """Pages with figures of a range, and the list of cases."""
    assert _view("ann", Role.ADMIN, "Mine", "admin", "a@b.example", path, "").mail == "a@b.example"
