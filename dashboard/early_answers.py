"""Begins to answer what a page will ask while its browser still loads the scripts that ask it.

That takes a browser with an empty cache a second, in which the dashboard would wait. The page's own callbacks run, and
what they return is thrown away: the figures stay with `DataSource`, for the same user and address. They end when the
browser closes the connection that it got the page by.
"""

import contextlib
import threading

from dash.exceptions import PreventUpdate
from flask import Flask, Response, copy_current_request_context, g, request
from flask_login import current_user
from werkzeug.exceptions import HTTPException

from dashboard.permissions import EXTENSION, Callbacks, Registered, is_page_request, page_at
from dashboard.question_limit import QuestionLimit

TOLD = "-told"  # ends the name of what passes the address on, so that other callbacks go first


def register(server: Flask, questions: QuestionLimit) -> None:
    """Begin with each page of figures that is delivered. It takes a turn of `questions` until anybody waits for one."""
    callbacks: Callbacks = server.extensions[EXTENSION]

    @server.after_request
    def begin(response: Response) -> Response:
        page = page_at(request.path) if request.method == "GET" and is_page_request() else None
        if response.status_code != 200 or page is None or not current_user.is_authenticated:
            return response
        asked = [each for each in callbacks.of(page) if _asks_for_address(each)] if page.of_usage else []
        asker = f"user {current_user.name}"
        if asked and questions.enter_if_free(asker):
            threading.Thread(
                target=copy_current_request_context(_answer), args=(asked, questions, asker), name="early", daemon=True
            ).start()
        return response


def _answer(asked: list[Registered], questions: QuestionLimit, asker: str) -> None:
    g.early = True
    search = request.query_string.decode("latin-1")
    search = f"?{search}" if search else ""
    try:
        for callback in asked:
            if questions.is_waited_for():
                return
            with contextlib.suppress(HTTPException, PreventUpdate):
                callback.function(*(search for _ in callback.inputs))
    finally:
        questions.leave(asker)


def _asks_for_address(callback: Registered) -> bool:
    """Whether the query of the address is all that the callback is given."""
    given = [(str(one.component_id), one.component_property) for one in callback.inputs]
    return bool(given) and all(one == ("url", "search") or one[0].endswith(TOLD) for one in given)
