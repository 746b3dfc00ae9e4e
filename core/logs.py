"""Structured logs: one JSON object per line on stderr, with the id of its request. Plain text on a terminal.

A line contains no data from a request: no address, no body, no header. This module generates the id of a request,
which is also in the response.
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
# They warn of each failure, also of a cancelled query. Pharos reports failures of ClickHouse itself.
# The driver's import sets a level on `urllib3` again, so name what is below it.
_DRIVERS = "clickhouse_connect", "urllib3.connectionpool"

_request: ContextVar[str] = ContextVar("request", default="")


class JsonLine(logging.Formatter):
    """`{"time", "level", "logger", "process", "request", "message", …}`: `extra={"fields": {…}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, whatever the message contains."""
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
    """Passes `MOST_A_SECOND` records of a logger, so that a flood of bad requests does not flood the log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._second, self._passed, self._held_back = 0, 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record passes. The first record of a second contains the number dropped in the previous one."""
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


def new_request() -> str:
    """Return the id of a request that begins. The log lines of this thread have it from now on."""
    id = os.urandom(8).hex()
    _request.set(id)
    return id


def with_request_ids(wsgi_app: Any, headers: Iterable[tuple[str, str]] = ()) -> Any:
    """Wrap `wsgi_app` to add a new id for each request to its log lines and response. Also adds `headers` to responses.

    This works below Flask, where it costs a twentieth of `after_request`.
    """
    always = list(headers)

    def wrapped(environ: Any, start_response: Any) -> Any:
        id = new_request()

        def start(status: str, given: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*given, *always, (HEADER, id)], *exc_info)

        return wsgi_app(environ, start)

    return wrapped


def refused(status: int, reason: str, why: str = "") -> None:
    """Log that this request was refused. `why` is text of Pharos, without any data of the request."""
    message = f"refused: {status} {reason}" + (f": {why}" if why else "")
    logging.getLogger("pharos.requests").info(message, extra={"fields": {"status": status, "reason": reason}})


def place(error: Exception) -> str:
    """Return the file and line that raised an error: the only part of a traceback that cannot contain a secret."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119


def quiet_drivers() -> None:
    """Let a command that sets up no logging print its own error alone."""
    for name in _DRIVERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def config() -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig` and gunicorn's `logconfig_dict`."""
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
            **{name: {"level": "ERROR"} for name in _DRIVERS},
            "pharos.requests": {"level": "INFO", "filters": ["sparingly"]},
        },
    }
