"""What is around every page: header, navigation, filters, color scheme, the user's menu."""

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, page_container
from flask import has_request_context
from flask_login import current_user

from core.credentials import Role
from dashboard.data_source import DataSource
from dashboard.display_names import called
from dashboard.filters import today
from dashboard.icons import icon
from dashboard.login import csrf_token
from dashboard.permissions import ACCOUNT, SHELL, Callbacks, pages_for
from warehouse.engine import EngineError

THEME = {
    "primaryColor": "indigo",
    "primaryShade": {"light": 7, "dark": 7},
    "fontFamily": "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
    "defaultRadius": "md",
    "headings": {"fontWeight": "650"},
    "cursorType": "pointer",
    # Mantine's own dark greys, a little bluer, as the style sheet's.
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
ROLES = {Role.PRODUCT: "Product", Role.LICENSING: "Licensing", Role.ADMIN: "Administrator"}
PRESETS = [{"value": str(days), "label": f"{days} days"} for days in (7, 30, 90)] + [
    {"value": "custom", "label": "Custom"}
]


def layout(synthetic: bool) -> dmc.MantineProvider:
    """The app around the pages, for the user of this request. It holds no figure."""
    # Dash asks once at the start too, when nobody is there.
    user = current_user if has_request_context() and current_user.is_authenticated else None
    if user is None:
        return dmc.MantineProvider(html.Div(page_container))
    return dmc.MantineProvider(
        theme=THEME,
        defaultColorScheme="auto",
        children=[
            html.A("Skip to content", href="#content", className="skip"),
            dcc.Location(id="url", refresh=False),
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
                            _filters(),
                            html.Div(page_container, id="content", tabIndex=-1),
                        ]
                    ),
                ],
            ),
        ],
    )


def register(dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the shell."""

    @callbacks.add(SHELL, Output("module-filter", "data"), Input("url", "pathname"), State("module-filter", "value"))
    def modules(_pathname: str, chosen: str | None) -> list[dict[str, str]]:
        try:
            known = data.modules()
        except EngineError:
            known = []  # the page says that the engine is away
        if chosen and chosen not in known:
            known = [*known, chosen]
        catalog = data.catalog()
        return [{"value": name, "label": called(catalog, "module", name, today()).label} for name in known]

    def in_browser(function: str, *args: Any) -> None:
        dash_app.clientside_callback(ClientsideFunction("pharos", function), *args)

    in_browser(
        "showFilters",
        Output("module-filter", "value"),
        Output("range-preset", "value"),
        Output("range-days", "value"),
        Output("range-filter", "style"),
        Output("filters", "style"),
        Output({"nav": ALL}, "href"),
        Input("url", "search"),
        Input("url", "pathname"),
    )
    in_browser("chooseModule", Input("module-filter", "value"), State("url", "search"))
    in_browser("choosePreset", Input("range-preset", "value"), State("url", "search"))
    in_browser("chooseDays", Input("range-days", "value"), State("url", "search"))
    in_browser(
        "toggleNavigation", Output("app-shell", "navbar"), Input("burger", "opened"), State("app-shell", "navbar")
    )
    in_browser("closeNavigation", Output("burger", "opened"), Input("url", "pathname"))


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
                        **{"aria-label": "Light or dark"},
                    ),
                    dmc.Menu(
                        [
                            # The target's wrapper is the button: Mantine says on it that it opens a menu.
                            dmc.MenuTarget(
                                [icon("user"), html.Span(name, className="user-name")],
                                boxWrapperProps={
                                    "component": "button", "type": "button", "className": "user-menu",
                                    "aria-label": f"Account of {name}",
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
    return html.Nav(
        [
            dmc.NavLink(
                id={"nav": page.name}, label=page.title, href=page.path, active="exact", leftSection=icon(page.name)
            )
            for page in pages_for(role)
        ],
        className="navigation",
        **{"aria-label": "Pages"},
    )


def _filters() -> html.Div:
    return html.Div(
        [
            dmc.Select(
                id="module-filter", data=[], placeholder="All modules", clearable=True, searchable=True, w=240,
                nothingFoundMessage="No such module", **{"aria-label": "Module"},
            ),
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="range-preset", data=PRESETS, value="30", **{"aria-label": "Range of days"}
                    ),
                    dmc.DatePickerInput(
                        id="range-days", type="range", valueFormat="D MMM YYYY", className="range-days",
                        allowSingleDateInRange=True, **{"aria-label": "First and last day (UTC)"},
                    ),
                ],
                id="range-filter",
                className="range-filter",
            ),
        ],
        id="filters",
        className="filters",
        role="search",
        **{"aria-label": "Filters"},
    )  # fmt: skip


def _synthetic() -> html.Div:
    return html.Div("Synthetic demonstration data", className="synthetic", role="note")
