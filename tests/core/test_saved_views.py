"""Saved views: who sees them, what is refused, and that a file keeps them."""

from pathlib import Path

import pytest

from core.credentials import Role
from core.saved_views import MOST_OF_USER, SavedViews, View, ViewError


@pytest.fixture
def views(tmp_path: Path) -> SavedViews:
    return SavedViews(tmp_path / "dashboard.sqlite")


def test_a_view_is_seen_by_its_owner_and_the_role_that_it_is_shared_with(views: SavedViews) -> None:
    """Admins see what is shared. Nobody else sees a view that is not shared."""
    views.save(View("paula", "Monday", "/", "?range=28d"))
    views.save(View("paula", "Team", "/features", "?module=a", shared="product"))
    views.save(View("lena", "Mine", "/", "", shared="licensing"))
    people = ("paula", Role.PRODUCT), ("pete", Role.PRODUCT), ("lena", Role.LICENSING), ("root", Role.ADMIN)
    seen = {who: [view.name for view in views.of(who, role)] for who, role in people}
    assert seen == {"paula": ["Monday", "Team"], "pete": ["Team"], "lena": ["Mine"], "root": ["Mine", "Team"]}


def test_a_name_is_saved_once_and_found_by_it(views: SavedViews) -> None:
    """Saving again replaces the view. Two owners of a name must be told apart."""
    views.save(View("paula", "Monday", "/", "?range=7d"))
    views.save(View("paula", " Monday ", "/features", "?range=28d"))
    assert (views.find("Monday").path, views.find("Monday").search) == ("/features", "?range=28d")
    views.save(View("pete", "Monday", "/", ""))
    with pytest.raises(ViewError, match="paula, pete"):
        views.find("Monday")
    assert views.find("Monday", "pete").path == "/"
    views.delete("pete", "Monday")
    views.delete("pete", "Monday")
    assert views.find("Monday").owner == "paula"
    with pytest.raises(ViewError, match="no view Tuesday"):
        views.find("Tuesday")


@pytest.mark.parametrize(
    "view",
    [
        View("paula", "", "/", ""),
        View("paula", "x" * 65, "/", ""),
        View("paula", "a\nb", "/", ""),
        View("paula", "a", "/", "?" + "x" * 2000),
        View("paula", "a", "/", "/evil.example"),
        View("paula", "a", "/", "?\n"),
        *(
            View("paula", "a", "/", "", mail=mail)
            for mail in (
                "nobody",
                "victim@corp,other",
                "a@x.com,",
                "a@x.com;b",
                "a <b@x.com>",
                "@x.com",
                "a@",
                "a@x.",
                "a@.b",
                "a@b..c",
                "=?utf-8?q?v=40corp=2Cb?=@x.com",
            )
        ),
        View("paula", "a", "/", "", mail="a@b.example\nBcc: c@d.example"),
    ],
)
def test_what_cannot_be_saved_is_refused(views: SavedViews, view: View) -> None:
    """A name, address or e-mail address that is not usable is an error, and nothing is saved."""
    with pytest.raises(ViewError):
        views.save(view)
    assert views.views() == []


def test_a_user_has_a_bounded_number_of_views(views: SavedViews) -> None:
    """The limit does not stop saving an existing view again."""
    for number in range(MOST_OF_USER):
        views.save(View("paula", f"{number}", "/", ""))
    views.save(View("paula", "7", "/", "?range=7d"))
    with pytest.raises(ViewError, match="delete one first"):
        views.save(View("paula", "more", "/", ""))


def test_a_removed_user_leaves_no_views(views: SavedViews) -> None:
    """A later user of the same name does not inherit them."""
    views.delete_all("paula")
    views.save(View("paula", "Monday", "/", ""))
    views.save(View("pete", "Monday", "/", ""))
    views.delete_all("paula")
    assert [view.owner for view in views.views()] == ["pete"]


def test_a_broken_file_is_a_view_error(tmp_path: Path) -> None:
    """The menu says that views cannot be used, and the page stays."""
    path = tmp_path / "dashboard.sqlite"
    path.write_text("not a database, and long enough to be read as one" * 40)
    with pytest.raises(ViewError, match="cannot be used"):
        SavedViews(path).views()
