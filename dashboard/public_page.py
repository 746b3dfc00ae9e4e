"""The public privacy page: what is collected, why, where and for how long, and the rights of owners.

It is off by default. It needs no login, uses no cookies, loads nothing from other hosts, and runs no script.
"""

import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template

from core.fields import FIELDS, Field
from core.home import Home
from core.settings import Settings
from dashboard import formatting
from dashboard.filters import today
from warehouse.engine import Engine, EngineError
from warehouse.queries import metrics
from warehouse.queries.small_groups import OTHER
from warehouse.retention import kept_under

# Visitors cannot cause queries more often than this.
KEPT_SECONDS = 60.0
DAYS = 30
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)

PURPOSES = {
    "usage": "To decide which versions, platforms and features of a module to support and improve. This data is only "
    "shown as counts of installs, and does not identify who runs them.",
    "license": "To check whether a module runs with a valid license, and to resolve doubts. Only the licensing team "
    "sees this data. It does not include the platform of an install or its use of features.",
}
# Stored values that are not fields of a beacon: the field that each one is derived from, if any, and the value.
MADE: tuple[tuple[str, Field], ...] = (
    ("install_id", Field("pseudonym of the install", "integer", "A keyed hash, different in each plane. The keys are "
                         "not in the database, so nothing there joins the two planes.", usage="install",
                         license="install")),
    ("install_id", Field("pseudonym in counts by license source", "integer", "A third keyed hash. Installs are "
                         "counted by the source of their license under it, apart from the other rows.",
                         license="source_install")),
    ("beacon_id", Field("id of the beacon", "integer", "A keyed hash, different in each plane. With it a beacon that "
                        "is sent twice counts once.", usage="beacon", license="beacon")),
    ("sent_at", Field("day", "string", "The date in UTC, without a time.", usage="day")),
    ("", Field("day of receipt", "string", "The date in UTC on which the collector received the beacon.",
               usage="received")),
    ("sent_at", Field("time", "time", "The time with milliseconds.", license="time")),
    ("", Field("address of the connection", "address", "The IP address that the beacon came from.",
               license="ip")),
    ("", Field("received", "integer", "Whether the collector received the beacon on the day that it states.",
               license="received")),
    ("", Field("country", "string", "The country of the address, if the collector can look it up. The usage plane "
               "stores only the country.", usage="country", license="country")),
)  # fmt: skip
RIGHTS = {
    "access": "Get a copy of all data about the install, from both planes, in a machine-readable format.",
    "rectify": "Correct wrong data.",
    "erase": "Delete all data about the install. It is also removed from all counts.",
    "object": "Stop storing data about the install.",
    "restrict": "Keep the data but do not use it, until the restriction is lifted.",
    "lift": "End a restriction or an objection.",
}


def kept(settings: Settings) -> list[tuple[str, str]]:
    """What is stored about installs, and for how long."""
    untold = ("freshness_by_loader", "license_states_key", "migrations", "rejections")
    return [(kept.what, kept.how_long) for kept in kept_under(settings) if kept.where not in untold]


def blueprint(settings: Settings, home: Home, engine: Engine) -> Blueprint:
    """`/privacy` for people and `/privacy.json` for programs, both from the same document."""
    routes = Blueprint("privacy", __name__)
    totals = Totals(engine, settings.k)

    def document() -> dict[str, Any]:
        return {
            "synthetic": home.synthetic.exists(),
            "policy_version": settings.policy_version or None,
            "region": settings.region or None,
            "contact": settings.contact or None,
            "k": settings.k,
            "purposes": PURPOSES,
            "beacon": [_told(field) for field in FIELDS],
            "made": [{"of": of or None, **_told(field)} for of, field in MADE],
            "kept": [{"what": what, "how_long": how_long} for what, how_long in kept(settings)],
            "rights": RIGHTS,
            "active": totals.get(),
        }

    @routes.get("/privacy", strict_slashes=False)
    def show() -> Response:
        html = render_template(
            "privacy.html", **document(), count=formatting.count, fewer=formatting.fewer(settings.k), day=formatting.day
        )
        return _public(html, "text/html; charset=utf-8")

    @routes.get("/privacy.json")
    def tell() -> Response:
        return _public(msgspec.json.encode(document()), "application/json")

    return routes


def _public(body: str | bytes, content_type: str) -> Response:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": f"public, max-age={KEPT_SECONDS:.0f}"}
    return Response(body, headers=headers, content_type=content_type)


def _told(field: Field) -> dict[str, Any]:
    held = [plane for plane in PURPOSES if getattr(field, plane)]
    made = [name.path for of, name in MADE if of == field.path]
    return {
        "name": field.path,
        "what": field.doc,
        "choices": field.choices,
        "planes": held,
        "made_of_it": made,
        "consent": ["full"] if field.full else ["license", "full"],
    }


class Totals:
    """Active installs of the last complete days, in total and by module, each rounded down to a multiple of k.

    Live or exact counts would reveal single installs to a visitor who reloads the page every minute. The counts are
    cached for `KEPT_SECONDS`, even when the query fails. One visitor renews them while the others get the old ones.
    """

    def __init__(self, engine: Engine, k: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._k, self._clock = engine, k, clock
        self._asking = threading.Lock()
        self._until = float("-inf")
        self._kept: dict[str, Any] | None = None

    def get(self) -> dict[str, Any] | None:
        """`{"from", "to", "installs", "modules"}`; `installs` is None for fewer than k. Returns None while unknown."""
        if self._clock() >= self._until and self._asking.acquire(blocking=False):
            try:
                self._kept = self._ask(today() - timedelta(days=1))
            except EngineError:
                self._kept = None
            finally:
                self._until = self._clock() + KEPT_SECONDS
                self._asking.release()
        return self._kept

    def _ask(self, end: date) -> dict[str, Any]:
        start = end - timedelta(days=DAYS - 1)
        (installs,) = self._rows(start, end, "none")
        modules = self._rows(start, end, "module")
        return {
            "from": start,
            "to": end,
            "installs": installs[1],
            "modules": [{"module": name, "installs": value} for name, value in modules if value is not None],
        }

    def _rows(self, start: date, end: date, by: str) -> list[tuple[str | None, int | None]]:
        args = {"from": start.isoformat(), "to": end.isoformat(), "grain": "period", "by": by}
        rows = metrics.answer(self._engine, metrics.parse("installs", args, end), self._k, rounded=True)["rows"]
        return [("other modules" if row["key"] == OTHER else row["key"], row["value"]) for row in rows]
