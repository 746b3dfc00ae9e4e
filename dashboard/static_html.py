"""HTML that a callback returns as one component, however many elements it has.

To Dash each element is a component of its own, every one of which looks at each change of the state of the page, and
changes it when it appears: a thousand cells of tables took half of the time of a change of filters. What has no id and
no part that a callback sets needs none of that. `assets/static_html.js` draws it.
"""

from typing import Any

from dash import dcc
from dash.development.base_component import Component


class StaticHtml(Component):  # type: ignore[misc]
    """Draws `html`: a text, or a list of a tag, its properties as React names them, and what is inside."""

    _namespace = "dashboard"
    _type = "StaticHtml"
    _prop_names = available_properties = ("html",)
    _base_nodes = _children_props = ()
    _valid_wildcard_attributes = available_wildcard_properties = ()

    def __init__(self, html: Any) -> None:
        super().__init__(html=html)


def static(component: Component) -> StaticHtml:
    """Return components of `dash.html`, and `dcc.Link`, as one component.

    Raises `ValueError` for one of another kind, and for one with an id.
    """
    return StaticHtml(_drawn(component))


def _drawn(component: Any) -> Any:
    if not isinstance(component, Component):
        return component
    properties = {name: value for name, value in component.to_plotly_json()["props"].items() if name != "children"}
    if "id" in properties or (component._namespace != "dash_html_components" and not isinstance(component, dcc.Link)):
        raise ValueError(f"not static HTML: {component}")
    tag = component._type.lower()
    if isinstance(component, dcc.Link):
        tag, properties = "a", {**properties, "data-go": "yes"}
    inside = getattr(component, "children", None)
    children = inside if isinstance(inside, (list, tuple)) else [] if inside is None else [inside]
    return [tag, properties, *map(_drawn, children)]
