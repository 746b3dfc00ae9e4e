"""Structured logs: one JSON object a line on stderr, with the id of the request that it is about; plain on a terminal.

What a request holds is in no line: no address, no body, no header. Its id is made here and is in its answer.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any

import msgspec

HEADER = "X-Request-ID"
MOST_A_SECOND = 10

_request: ContextVar[str] = ContextVar("request", default="")


class JsonLine(logging.Formatter):
    """`{"time", "level", "logger", "process", "request", "message", …}`: `extra={"fields": {…}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if request := _request.get():
            line["request"] = request
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class Sparingly(logging.Filter):
    """Lets `MOST_A_SECOND` records of a logger pass; a flood of bad requests must not become a flood of lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._second, self._passed, self._held_back = 0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record passes; the first of a second says how many of the one before did not."""
        second = int(self._clock())
        if second != self._second:
            if self._held_back:
                record.fields = {**getattr(record, "fields", {}), "held_back": self._held_back}
            self._second, self._passed, self._held_back = second, 0, 0
        self._passed += 1
        if self._passed > MOST_A_SECOND:
            self._held_back += 1
            return False
        return True


def with_request_ids(wsgi_app: Any, headers: Iterable[tuple[str, str]] = ()) -> Any:
    """`wsgi_app` under a new id for each request, in its log lines and in the answer; `headers` are in each answer too.

    Below Flask, where that costs a twentieth of what `after_request` does.
    """
    always = list(headers)

    def wrapped(environ: Any, start_response: Any) -> Any:
        id = os.urandom(8).hex()
        _request.set(id)

        def start(status: str, given: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*given, *always, (HEADER, id)], *exc_info)

        return wsgi_app(environ, start)

    return wrapped


def place(error: Exception) -> str:
    """The file and line that raised an error, which is all of a traceback that cannot hold a secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119


def config() -> dict[str, Any]:
    """For `logging.config.dictConfig`, and for gunicorn's `logconfig_dict`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": JsonLine},
            "plain": {"format": "%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s"},
        },
        "filters": {"sparingly": {"()": Sparingly}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "plain" if sys.stderr.isatty() else "json"}
        },
        "root": {"level": "INFO", "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": "INFO", "propagate": True},
            "gunicorn.access": {"level": "WARNING", "propagate": False},
            "pharos.requests": {"level": "INFO", "filters": ["sparingly"]},
        },
    }
