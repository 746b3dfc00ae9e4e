"""The read API's path for the trends of the license plane, and what the OpenAPI document says about it."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response

from dashboard.answer_schemas import Schema, closed, rows
from dashboard.cases_api import person
from dashboard.casework import Casework
from dashboard.permissions import TRENDS
from dashboard.problems import json_answer
from warehouse.cases.trends import LEAST_CLOSED, SOON_DAYS, Trends
from warehouse.queries.metrics import QueryError

_TEXT: Schema = {"type": "string"}
_DATE: Schema = {"type": "string", "format": "date"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
SCHEMA = closed(
    ("sampled",),
    flags=rows(week={**_DATE, "description": "Its Monday."}, rule=_TEXT, flags=_NUMBER),
    conversion=rows(
        month={**_DATE, "description": "The month of the install's first flag, by its first day."},
        flagged=_NUMBER,
        soon={
            "type": ["integer", "null"],
            "description": f"Reported licensed within {SOON_DAYS} days; null: not all have had that time.",
        },
        now={**_NUMBER, "description": "Report licensed now."},
    ),
    unlicensed=rows(
        module=_TEXT,
        version_series=_TEXT,
        installs=_NUMBER,
        flagged=_NUMBER,
        estimate={
            **_SHARE,
            "type": ["number", "null"],
            "description": f"null: fewer than {LEAST_CLOSED} cases are closed yet.",
        },
        interval={"type": "array", "items": _SHARE, "description": "95%"},
    ),
    closed=closed(resolved=_NUMBER, dismissed=_NUMBER),
    exact={"type": "boolean", "description": "false: numbers of flagged installs are estimated from a sample of them."},
    sampled={"type": "number", "description": "The part of the flagged installs that was read, if not all were."},
)


def register(routes: Blueprint, casework: Casework, arguments: Callable[[], dict[str, str]], k: int) -> None:
    """Add the path."""

    @routes.get(TRENDS)
    def get_trends() -> Response:
        given = arguments()
        if unknown := next((name for name in given if name != "module"), None):
            raise QueryError("unknown_field", unknown, "the parameter is module")
        return json_answer(200, _told(casework.trends(person(), "api trends", given.get("module", ""), k)))


def _told(found: Trends) -> dict[str, Any]:
    return {
        "flags": [
            {"week": week.isoformat(), "rule": rule, "flags": number}
            for week, rules in sorted(found.flags.items())
            for rule, number in sorted(rules.items())
        ],
        "conversion": [
            {"month": each.month.isoformat(), "flagged": each.flagged, "soon": each.soon, "now": each.now}
            for each in found.conversion
        ],
        "unlicensed": [
            {
                "module": each.module,
                "version_series": each.version,
                "installs": each.installs,
                "flagged": each.flagged,
                "estimate": None if each.estimate is None else round(each.estimate, 4),
                "interval": [round(each.low, 4), round(each.high, 4)],
            }
            for each in found.unlicensed
        ],
        "closed": {"resolved": found.resolved, "dismissed": found.dismissed},
        "exact": found.sampled == 1,
        **({"sampled": round(found.sampled, 4)} if found.sampled < 1 else {}),
    }
