"""Icons as inline SVG: drawn for this project on a 24 px grid, in the color of the surrounding text."""

from urllib.parse import quote

from dash import html

_PATHS = {
    "overview": "M4 19V5M4 19h16M8 15l4-5 3 3 4-6",
    "features": "M4 6h10M4 12h16M4 18h6",
    "versions": "M5 4v16M5 8h9a4 4 0 0 1 0 8H5M12 5l3 3-3 3",
    "platforms": "M4 5h16v6H4zM4 13h16v6H4zM8 8v.5M8 16v.5",
    "data": "M4 6c0-4 16-4 16 0s-16 4-16 0zM4 6v12c0 4 16 4 16 0V6M4 12c0 4 16 4 16 0",
    "feature": "M4 6h10M4 12h16M4 18h6",
    "drop": "M6 7h12M9 7V4h6v3M8 7l1 13h6l1-13",
    "desk": "M5 4h14v16H5zM9 9h6M9 13h6M9 17h3",
    "licensing": "M12 3l7 3v5c0 4.5-3 8-7 10-4-2-7-5.5-7-10V6zM9 12l2 2 4-4",
    "trends": "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6",
    "access_log": "M12 6c-4.5 0-8 3.5-9.5 6 1.5 2.5 5 6 9.5 6s8-3.5 9.5-6c-1.5-2.5-5-6-9.5-6z"
    "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
    "rights": "M12 4v16M7 20h10M5 8h14M5 8l-3 6a3.2 3.2 0 0 0 6 0zM19 8l-3 6a3.2 3.2 0 0 0 6 0z",
    "health": "M3 12h4l3-7 4 14 3-7h4",
    "sun": "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4"
    "M17.6 6.4 19 5",
    "moon": "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z",
    "user": "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM5 20c0-3.5 3-5.5 7-5.5s7 2 7 5.5",
    "info": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.5v.5",
    "link": "M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
    "glossary": "M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3zM9 8h6M9 12h6",
    "download": "M12 4v11M7 11l5 5 5-5M5 20h14",
}


def icon(name: str) -> html.Span:
    """An icon of text size. It is decoration; the text next to it carries the meaning."""
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' stroke='black' stroke-width='1.8' "
        f"stroke-linecap='round' stroke-linejoin='round'><path d='{_PATHS[name]}'/></svg>"
    )
    # A mask lets the icon take the color of the text. Dash has no SVG components.
    return html.Span(
        className="icon", style={"--icon": f'url("data:image/svg+xml,{quote(svg)}")'}, **{"aria-hidden": "true"}
    )
