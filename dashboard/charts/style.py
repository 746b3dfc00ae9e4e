"""Colors and layout that all figures share.

The style sheet sets the colors of text and grid lines, because it knows the color scheme. The trace colors below have
enough contrast in both schemes.
"""

from typing import Any

# A Plotly figure as JSON. Plotly's Python classes validate every value, which takes 40 ms a figure.
Figure = dict[str, Any]

ACCENT, ACCENT_PALE, GREY = "#5c7cfa", "rgba(92,124,250,0.16)", "#909296"
SHADE = "rgba(144,146,150,0.22)"
CONFIG = {"displayModeBar": False, "displaylogo": False, "responsive": True, "scrollZoom": False, "doubleClick": False}

_HOVER = {"bgcolor": "#212529", "bordercolor": "#495057", "align": "left"}
_FONT = "-apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
LAYOUT: dict[str, Any] = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": _FONT, "size": 13},
    "hoverlabel": {**_HOVER, "font": {"family": _FONT, "size": 13, "color": "#ffffff"}},
    "showlegend": False,
    "dragmode": False,
    "separators": ". ",  # thin space between thousands, as in the text
}
BLANK: Figure = {
    "data": [],
    "layout": {**LAYOUT, "height": 220, "xaxis": {"visible": False}, "yaxis": {"visible": False}},
}
