"""The menu of saved views."""

import pytest

from core.saved_views import View
from dashboard.views_menu import _list


@pytest.mark.parametrize(("mails", "said"), [(True, "by e-mail"), (False, "nothing is sent: no mail server is set")])
def test_a_view_says_whether_it_is_sent(mails: bool, said: str) -> None:
    """An address alone sends nothing."""
    (shown,) = _list([View("ann", "Mondays", "/", "", "", "ann@example.com")], "ann", mails=mails)
    assert said in str(shown)
    (other,) = _list([View("ann", "Mondays", "/", "", "", "")], "ann", mails=mails)
    assert said not in str(other)
