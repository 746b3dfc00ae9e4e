"""The shell around every page: header, navigation, filters, color scheme, user menu."""

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask import has_request_context
from flask_login import current_user

from core.credentials import Role
from dashboard import router
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.filters import today
from dashboard.icons import icon
from dashboard.login import csrf_token
from dashboard.permissions import ACCOUNT, SHELL, Callbacks, pages_for
from dashboard.regions import fill, message
from warehouse.engine import EngineError

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
ROLES = {Role.PRODUCT: "Product", Role.LICENSING: "Licensing", Role.ADMIN: "Administrator"}
PRESETS = [{"value": str(days), "label": f"{days} days"} for days in (7, 30, 90)] + [
    {"value": "custom", "label": "Custom"}
]


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
                            *router.layout(),
                        ]
                    ),
                ],
            ),
        ],
    )


def register(dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the shell."""

    @fill(callbacks, SHELL, "modules", [Output("modules", "data")], Input("url", "pathname"), content=False)
    def modules(_pathname: str) -> tuple[list[dict[str, str]]]:
        try:
            names = data.modules()
        except EngineError:
            names = []  # the page says that ClickHouse is away
        catalog = data.catalog()
        return ([{"value": name, "label": display_name(catalog, "module", name, today()).label} for name in names],)

    def in_browser(function: str, *args: Any) -> None:
        dash_app.clientside_callback(ClientsideFunction("pharos", function), *args)

    search, pathname = Input("url", "search"), Input("url", "pathname")
    in_browser(
        "showModule",
        Output("module-filter", "data"),
        Output("module-filter", "value"),
        search,
        Input("modules", "data"),
    )
    in_browser(
        "showFilters",
        Output("range-preset", "value"),
        Output("range-days", "value"),
        Output("range-filter", "style"),
        Output("filters", "style"),
        Output({"nav": ALL}, "href"),
        search,
        pathname,
        State("pages", "data"),
    )
    in_browser("chooseModule", Input("module-filter", "value"), State("url", "search"))
    in_browser("choosePreset", Input("range-preset", "value"), State("url", "search"))
    in_browser("chooseDays", Input("range-days", "value"), State("url", "search"))
    in_browser(
        "toggleNavigation", Output("app-shell", "navbar"), Input("burger", "opened"), State("app-shell", "navbar")
    )
    in_browser("closeNavigation", Output("burger", "opened"), pathname)


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
                nothingFoundMessage="No matching module", limit=200, **{"aria-label": "Module"},
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
            message("modules"),
        ],
        id="filters",
        className="filters",
        role="search",
        **{"aria-label": "Filters"},
    )  # fmt: skip


def _synthetic() -> html.Div:
    return html.Div("Synthetic demonstration data", className="synthetic", role="note")
