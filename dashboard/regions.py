"""Regions: the parts of a page that one callback fills, and the one error path of all callbacks.

A region `<name>` has a message, `<name>-message`, and content, `<name>-content`. It shows either of them. A callback
that cannot fill the content shows a message in its place, so no figure stays on the screen under a newer filter. When
the browser gets no answer at all, `assets/callback_errors.js` does the same.

Components stay in the layout, and callbacks set their properties: Dash remounts what a callback returns as `children`.
Only messages and short lists of plain HTML are returned that way. What is returned has no component with an id: Dash
does not forget an id when `children` becomes empty, and its next callback fails.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from dash import Output, dcc, html, no_update
from dash.exceptions import PreventUpdate
from werkzeug.exceptions import HTTPException

from core.access_log import AccessLogError
from dashboard import messages
from dashboard.permissions import Callbacks, Page
from warehouse.engine import EngineError
from warehouse.queries.metrics import QueryError

SHOWN: dict[str, str] = {}
HIDDEN = {"display": "none"}
EXPECTED = (QueryError, EngineError, AccessLogError)

log = logging.getLogger("pharos.dashboard")


@dataclass(frozen=True)
class Instead:
    """What a callback returns when it has nothing to fill its region with: the message to show instead."""

    message: Any


def region(name: str, *content: Any, **properties: Any) -> list[html.Div]:
    """The message and the content of a region."""
    return [message(name), html.Div(list(content), id=f"{name}-content", **properties)]


def message(name: str) -> html.Div:
    """The message of a region, empty while the content is shown."""
    return html.Div(id=f"{name}-message", role="status")


def loading(content: Any, height: int) -> dcc.Loading:
    """`content`, dimmed while its callback runs; a grey block where there is nothing to dim yet."""
    return dcc.Loading(
        content,
        delay_show=250,
        overlay_style={"visibility": "visible", "opacity": 0.45},
        custom_spinner=html.Div(className="loading", style={"height": height}),
    )


def fill(
    callbacks: Callbacks,
    page: Page,
    name: str,
    outputs: Sequence[Output],
    *inputs: Any,
    content: bool = True,
    **options: Any,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the callback that fills the region `name` of `page`.

    The function returns the values of `outputs`, or `Instead`. Whatever it raises becomes a message; errors that are
    not `EXPECTED` are logged. With `content=False` the region is a message alone.
    """
    filling = _Filling(name, outputs, content)

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*values: Any) -> tuple[Any, ...]:
            return filling.values(function, *values)

        registered: Callable[..., Any] = callbacks.add(page, *filling.outputs, *inputs, **options)(answer)
        return registered

    return register


def fill_each(
    callbacks: Callbacks, page: Page, outputs: Mapping[str, Sequence[Output]], *inputs: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register one callback that fills several regions: one request of the browser, for figures of one statement.

    The function takes the name of a region before the values of `inputs`, and returns what that of `fill` does.
    """
    regions = [_Filling(name, own) for name, own in outputs.items()]

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*values: Any) -> tuple[Any, ...]:
            filled = (each.values(partial(function, each.name), *values) for each in regions)
            return tuple(chain.from_iterable(filled))

        every = chain.from_iterable(each.outputs for each in regions)
        registered: Callable[..., Any] = callbacks.add(page, *every, *inputs)(answer)
        return registered

    return register


@dataclass(frozen=True)
class _Filling:
    """What a callback sets of a region: its message, whether its content is shown, and `own`."""

    name: str
    own: Sequence[Output]
    content: bool = True

    @property
    def outputs(self) -> list[Output]:
        shown = [Output(f"{self.name}-content", "style")] if self.content else []
        return [Output(f"{self.name}-message", "children"), *shown, *self.own]

    def values(self, function: Callable[..., Any], *given: Any) -> tuple[Any, ...]:
        filled = _filled(function, self.name, *given)
        if isinstance(filled, Instead):
            return filled.message, *([HIDDEN] if self.content else []), *(no_update for _ in self.own)
        return "", *([SHOWN] if self.content else []), *filled


def _filled(function: Callable[..., Any], name: str, *values: Any) -> Any:
    try:
        return function(*values)
    except EXPECTED as error:
        return Instead(messages.failure(error))
    except (HTTPException, PreventUpdate):
        raise
    except Exception:
        log.exception("the callback of %s failed", name)
        return Instead(messages.unreadable())
