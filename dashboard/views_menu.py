"""The menu of saved views in the filter bar: opens, saves and deletes them."""

from collections.abc import Callable
from typing import Any

from dash import Input, Output, State, ctx, dcc, html
from flask_login import current_user

from core.credentials import Role
from core.saved_views import LONGEST_SEARCH, SavedViews, View, ViewError
from dashboard import mantine as dmc
from dashboard import messages
from dashboard.bar_parts import INSIDE, OPENS
from dashboard.desk_digest import PATH as DESK
from dashboard.permissions import SHELL, Callbacks, page_at
from dashboard.regions import Instead, fill
from dashboard.roles import ROLES
from dashboard.sent_emails import SentEmails

ONLY_ME = "-"


def layout() -> dmc.Popover:
    """The button and its menu, without views."""
    shared = [{"value": ONLY_ME, "label": "Only me"}] + [{"value": role, "label": text} for role, text in ROLES.items()]
    form = dmc.Stack(
        [
            dmc.TextInput(id="view-name", label="Save this view as"),
            dmc.Select(
                id="view-shared", label="Who sees it", data=shared, value=ONLY_ME, allowDeselect=False,
                **INSIDE,
            ),
            dmc.TextInput(
                id="view-mail", label="E-mail to", placeholder="name@example.com",
                description="Each Monday a digest, and an alert on unusual days. For Cases: a digest each day.",
            ),
            dmc.Button("Save view", id="view-save"),
            html.Div(id="views-message", role="status"),
        ],
        gap="sm",
    )  # fmt: skip
    return dmc.Popover(
        [
            dmc.PopoverTarget("Views", boxWrapperProps=OPENS),
            dmc.PopoverDropdown([html.Div(id="views-list", className="views"), form]),
        ],
        id="views-menu", width=300, trapFocus=True, position="bottom-end", shadow="md", keepMounted=True,
    )  # fmt: skip


def store() -> dcc.Store:
    """Where the browser writes which view to delete."""
    return dcc.Store(id="view-deleted")


def register(callbacks: Callbacks, views: SavedViews, emails: SentEmails, *, mails: bool) -> None:
    """The callback of the menu. `mails`: a mail server is set."""

    @fill(
        callbacks,
        SHELL,
        "views",
        [Output("views-list", "children"), Output("view-name", "value")],
        Input("view-save", "n_clicks"),
        Input("view-deleted", "data"),
        State("view-name", "value"),
        State("view-shared", "value"),
        State("view-mail", "value"),
        State("url", "pathname"),
        State("url", "search"),
        content=False,
    )
    def change(
        clicks: int | None, deleted: Any, name: str | None, shared: str | None, mail: str | None, path: str, search: str
    ) -> Instead | tuple[list[Any], str]:
        user, role = current_user.name, current_user.role
        kept = name or ""
        try:
            if ctx.triggered_id == "view-save" and clicks:
                views.save(_view(user, role, name, shared, mail, path, search))
                kept = ""
            elif ctx.triggered_id == "view-deleted" and isinstance(deleted, dict):
                views.delete(user, str(deleted.get("name")))
            return _list(views.of(user, role), user, role, emails.failure, mails=mails), kept
        except ViewError as error:
            return Instead(messages.warning(f"{str(error)[:1].upper()}{str(error)[1:]}.", []))


def _view(
    user: str, role: Role, name: str | None, shared: str | None, mail: str | None, path: str, search: str
) -> View:
    page = page_at(path or "/")
    if page is None or role not in page.roles:
        raise ViewError("this page cannot be saved")
    if shared not in (ONLY_ME, *ROLES):
        raise ViewError("choose who sees the view")
    if shared != ONLY_ME and Role(str(shared)) not in page.roles:
        raise ViewError(f"the role {ROLES[Role(str(shared))]} cannot open this page")
    if (mail or "").strip() and not page.reported and page.path != DESK:
        raise ViewError("this page cannot be sent by e-mail: leave the address empty")
    role_that_sees = "" if shared == ONLY_ME else str(shared)
    return View(user, (name or "").strip(), page.path, (search or "")[: LONGEST_SEARCH + 1], role_that_sees, mail or "")


def _list(views: list[View], user: str, role: Role, failure: Callable[[View], str], *, mails: bool) -> list[Any]:
    """The views, without those of others that lead to a page that the role cannot open.

    `failure` says in words what failed when an e-mail of a view was sent last.
    """
    found = [view for view in views if view.owner == user or _opens(role, view)]
    if not found:
        return [html.P("No saved views yet. Save this one below.", className="dim")]
    return [_entry(view, user, role, failure, mails=mails) for view in found]


def _opens(role: Role, view: View) -> bool:
    page = page_at(view.path)
    return page is not None and role in page.roles


def _entry(view: View, user: str, role: Role, failure: Callable[[View], str], *, mails: bool) -> html.Div:
    mailed = "by e-mail" if mails else "nothing is sent: no mail server is set"
    if not _opens(role, view):
        mailed = "nothing is sent: your role cannot open the page"
    of = [] if view.owner == user else [f"by {view.owner}"]
    notes = [*of, *([f"shared with {view.shared}"] if view.shared else []), *([mailed] if view.mail else [])]
    link = dcc.Link(view.name, href=f"{view.path}{view.search}", className="view-link")
    delete = html.Button(
        "×", type="button", className="view-delete", title="Delete this view",
        **{"data-view": view.name, "aria-label": f"Delete the view {view.name}"},
    )  # fmt: skip
    failed = failure(view) if view.mail and view.owner == user else ""
    return html.Div(
        [
            html.Div(
                [
                    link,
                    html.Span(", ".join(notes), className="dim"),
                    *([html.Span(failed, className="failed")] if failed else []),
                ]
            ),
            *([delete] if view.owner == user else []),
        ],
        className="view",
    )
