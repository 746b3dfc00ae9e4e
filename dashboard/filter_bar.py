"""The filter bar above every page. The address is its only state: `assets/filters.js` reads and writes it."""

from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html

from dashboard import mantine as dmc
from dashboard import views_menu
from dashboard.bar_parts import INSIDE, OPENS
from dashboard.data_source import DataSource
from dashboard.display_names import DIMENSIONS, display_name
from dashboard.filters import COMPARISONS, DEFAULT_RANGE, RANGES, today
from dashboard.permissions import SHELL, Callbacks
from dashboard.regions import fill, message
from warehouse.engine import EngineError
from warehouse.queries import dimensions
from warehouse.queries.small_groups import OTHER

GRAINS = {"day": "By day", "week": "By week", "month": "By month"}
CONDITIONS = {"": "is", ".lt": "below", ".le": "up to", ".ge": "from", ".in": "one of"}
SIGNS = {"": ":", ".lt": "<", ".le": "≤", ".ge": "≥", ".in": "in"}
NOT_PICKED = ("module", "license_source")  # the bar has a module; a license source combines with few others


def layout() -> html.Div:
    """The bar. Each control is shown on the pages that have it."""
    return html.Div(
        [
            dcc.Store(id="known", data=_known()),
            html.Div(
                [
                    _control("module", _module()),
                    _control("range", *_range()),
                    _control("grain", _select("grain", GRAINS, "day", "Grain", 100)),
                    _control("compare", _select("compare", COMPARISONS, "previous", "Compare with", 160)),
                    _control("filters", _picker()),
                    dmc.CopyButton(
                        id="copy-link", value="", children="Copy link", copiedChildren="Copied",
                        variant="default", size="xs",
                    ),
                    views_menu.layout(),
                ],
                className="bar-controls",
            ),
            html.Div(id="chips", className="chips"),
            message("modules"),
            message("filter-values"),
        ],
        id="filters",
        className="filters",
        role="search",
        **{"aria-label": "Filters"},
    )  # fmt: skip


def register(dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the bar."""
    search, pathname, pages = Input("url", "search"), Input("url", "pathname"), State("pages", "data")

    @fill(callbacks, SHELL, "modules", [Output("modules", "data")], pathname, content=False)
    def modules(_pathname: str) -> tuple[dict[str, Any]]:
        try:
            names, first = data.modules(), data.first_day()
        except EngineError:
            names, first = [], None  # the page says that ClickHouse is away
        catalog = data.catalog()
        known = [{"value": name, "label": display_name(catalog, "module", name, today()).label} for name in names]
        return ({"modules": known, "young": first == today()},)

    @fill(
        callbacks,
        SHELL,
        "filter-values",
        [Output("filter-value", "data")],
        Input("filter-name", "value"),
        State("url", "search"),
        content=False,
        prevent_initial_call=True,
    )
    def values(name: str | None, search: str) -> tuple[list[str]]:
        if name not in DIMENSIONS:
            return ([],)
        rows = data.largest("installs", data.chosen(search).args(by=name, grain="period"))["rows"]
        return ([row["key"] for row in rows if row["key"] and row["key"] != OTHER],)

    def in_browser(function: str, *args: Any) -> None:
        dash_app.clientside_callback(ClientsideFunction("pharos", function), *args)

    in_browser(
        "showModule",
        Output("module-filter", "data"),
        Output("module-filter", "value"),
        search,
        Input("modules", "data"),
    )
    in_browser(
        "showFilters",
        Output("range-filter", "value"),
        Output("range-days", "value"),
        Output("range-today", "checked"),
        Output("grain-filter", "value"),
        Output("compare-filter", "value"),
        Output("chips", "children"),
        Output("copy-link", "value"),
        Output("filters", "data-page"),
        Output({"nav": ALL}, "href"),
        search,
        pathname,
        Input("modules", "data"),
        pages,
        State("known", "data"),
    )
    for name, value in (
        ("module-filter", "value"), ("range-filter", "value"), ("range-days", "value"), ("range-today", "checked"),
        ("grain-filter", "value"), ("compare-filter", "value"),
    ):  # fmt: skip
        in_browser("choose", Input(name, value), State(name, "id"))
    in_browser(
        "showConditions", Output("filter-condition", "data"), Output("filter-condition", "value"),
        Output("filter-value", "value"), Input("filter-name", "value"), State("known", "data"),
    )  # fmt: skip
    in_browser(
        "addFilter", Output("filter-picker", "opened"), Input("filter-add", "n_clicks"),
        State("filter-name", "value"), State("filter-condition", "value"), State("filter-value", "value"),
    )  # fmt: skip


def _known() -> dict[str, Any]:
    """What the browser knows of ranges, filters and conditions."""
    return {
        "ranges": RANGES,
        "range": DEFAULT_RANGE,
        "dimensions": DIMENSIONS,
        "compared": dimensions.COMPARED,
        "conditions": CONDITIONS,
        "signs": SIGNS,
    }


def _control(name: str, *content: Any) -> html.Div:
    return html.Div(list(content), className=f"control control-{name}")


def _select(name: str, choices: dict[str, str], value: str, label: str, width: int) -> dmc.Select:
    data = [{"value": choice, "label": text} for choice, text in choices.items()]
    return dmc.Select(
        id=f"{name}-filter", data=data, value=value, allowDeselect=False, w=width, size="xs", **{"aria-label": label}
    )


def _module() -> dmc.Select:
    return dmc.Select(
        id="module-filter", data=[], placeholder="All modules", clearable=True, searchable=True, w=160, size="xs",
        nothingFoundMessage="No matching module", limit=200, **{"aria-label": "Module"},
    )  # fmt: skip


def _range() -> list[Any]:
    days = dmc.DatePickerInput(
        id="range-days", type="range", valueFormat="D MMM YYYY", className="range-days", allowSingleDateInRange=True,
        size="xs", **{"aria-label": "First and last day (UTC)"},
    )  # fmt: skip
    return [
        _select("range", {**RANGES, "days": "From – to"}, DEFAULT_RANGE, "Range", 124),
        days,
        dmc.Checkbox(id="range-today", label="Include today", checked=False, size="xs", radius="sm"),
    ]


def _picker() -> dmc.Popover:
    names = [{"value": name, "label": label} for name, label in DIMENSIONS.items() if name not in NOT_PICKED]
    return dmc.Popover(
        [
            dmc.PopoverTarget("Filter", boxWrapperProps=OPENS),
            dmc.PopoverDropdown(
                dmc.Stack(
                    [
                        dmc.Select(
                            id="filter-name", label="Filter by", data=sorted(names, key=lambda one: one["label"]),
                            searchable=True, **INSIDE,
                        ),
                        dmc.Select(
                            id="filter-condition", label="Condition", data=[{"value": "", "label": "is"}],
                            allowDeselect=False, **INSIDE,
                        ),
                        dmc.Autocomplete(id="filter-value", label="Value", data=[], limit=200, maxDropdownHeight=240,
                                         **INSIDE),
                        dmc.Button("Add filter", id="filter-add"),
                    ],
                    gap="sm",
                )
            ),
        ],
        id="filter-picker", width=280, trapFocus=True, position="bottom-start", shadow="md",
    )  # fmt: skip
