"""The shell around every page: header, navigation, filters, color scheme, user menu."""

from itertools import groupby
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask import has_request_context
from flask_login import current_user

from core.credentials import Role
from core.saved_views import SavedViews
from dashboard import filter_bar, router, views_menu
from dashboard import mantine as dmc
from dashboard.data_source import DataSource
from dashboard.icons import icon
from dashboard.login import csrf_token
from dashboard.permissions import ACCOUNT, Callbacks, Page, pages_for
from dashboard.roles import ROLES
from dashboard.sent_emails import SentEmails

THEME = {
    "primaryColor": "indigo",
    "primaryShade": {"light": 7, "dark": 7},
    "fontFamily": "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    "defaultRadius": "md",
    "headings": {"fontWeight": "650"},
    "cursorType": "pointer",
    # Mantine's dark greys, slightly bluer, to match the style sheet.
    "colors": {
        "dark": [
            "#e6e8eb",
            "#c3c8d0",
            "#a3a9b3",
            "#7d8590",
            "#454c57",
            "#363c46",
            "#262b32",
            "#1d2025",
            "#15171b",
            "#101215",
        ]
    },
}


def layout(synthetic: bool) -> dmc.MantineProvider:
    """The shell for the user of this request. It contains no figures."""
    # Dash also asks once at the start, without a user.
    user = current_user if has_request_context() and current_user.is_authenticated else None
    if user is None:
        return dmc.MantineProvider(html.Div())
    return dmc.MantineProvider(
        theme=THEME,
        defaultColorScheme="auto",
        children=[
            html.A("Skip to content", href="#content", className="skip"),
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="modules"),
            views_menu.store(),
            dmc.AppShell(
                id="app-shell",
                header={"height": 60},
                navbar={"width": 232, "breakpoint": "sm", "collapsed": {"mobile": True}},
                children=[
                    dmc.AppShellHeader(_header(user.name, user.role)),
                    dmc.AppShellNavbar(_navigation(user.role), p="md"),
                    dmc.AppShellMain(
                        [
                            *([_synthetic()] if synthetic else []),
                            filter_bar.layout(),
                            *router.layout(),
                        ]
                    ),
                ],
            ),
        ],
    )


def register(dash_app: Dash, callbacks: Callbacks, data: DataSource, views: SavedViews, emails: SentEmails) -> None:
    """The callbacks of the shell."""

    filter_bar.register(dash_app, callbacks, data)
    views_menu.register(callbacks, views, emails, mails=data.mails)

    def in_browser(function: str, *args: Any) -> None:
        dash_app.clientside_callback(ClientsideFunction("pharos", function), *args)

    in_browser(
        "toggleNavigation", Output("app-shell", "navbar"), Input("burger", "opened"), State("app-shell", "navbar")
    )
    in_browser("close", Output("burger", "opened"), Input("url", "pathname"))
    in_browser("close", Output("views-menu", "opened"), Input("url", "href"))


def _header(name: str, role: Role) -> dmc.Group:
    return dmc.Group(
        [
            dmc.Group(
                [
                    dmc.Burger(id="burger", opened=False, size="sm", hiddenFrom="sm", **{"aria-label": "Navigation"}),
                    html.Img(src="/assets/login/mark.svg", alt="", width=28, height=28),
                    dmc.Text("Pharos", fw=650, fz="lg"),
                ],
                gap="sm",
            ),
            dmc.Group(
                [
                    dmc.ColorSchemeToggle(
                        lightIcon=icon("sun"), darkIcon=icon("moon"), variant="subtle", color="gray", size="lg",
                        **{"aria-label": "Switch between light and dark"},
                    ),
                    dmc.Menu(
                        [
                            # The wrapper is the button, because Mantine sets its aria attributes there.
                            dmc.MenuTarget(
                                [icon("user"), html.Span(name, className="user-name")],
                                boxWrapperProps={
                                    "component": "button", "type": "button", "className": "user-menu",
                                    "aria-label": f"Account menu of {name}",
                                },
                            ),
                            dmc.MenuDropdown(
                                [
                                    dmc.MenuLabel(f"{name} · {ROLES[role]}"),
                                    html.A("Account", href=ACCOUNT, className="menu-button"),
                                    html.Form(
                                        [
                                            dcc.Input(type="hidden", name="token", value=csrf_token()),
                                            html.Button("Log out", type="submit", className="menu-button"),
                                        ],
                                        action="/logout",
                                        method="post",
                                    ),
                                ]
                            ),
                        ],
                        position="bottom-end",
                        width=220,
                    ),
                ],
                gap="xs",
            ),
        ],
        justify="space-between",
        h="100%",
        px="md",
        wrap="nowrap",
    )  # fmt: skip


def _navigation(role: Role) -> html.Nav:
    groups = [
        html.Div([html.P(group, className="nav-group", id=f"nav-{group.lower()}"), *map(_link, pages)])
        for group, pages in groupby(pages_for(role), key=lambda page: page.group)
    ]
    return html.Nav(groups, className="navigation", **{"aria-label": "Pages"})


def _link(page: Page) -> dmc.NavLink:
    return dmc.NavLink(
        id={"nav": page.name}, label=page.title, href=page.path, active="exact", leftSection=icon(page.name)
    )


def _synthetic() -> html.Div:
    return html.Div("Synthetic demonstration data", className="synthetic", role="note")
