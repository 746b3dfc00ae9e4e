"""What the OpenAPI document says about cases. Pure."""

from typing import Any

from dashboard.answer_schemas import PROBLEM, Schema, closed, rows
from dashboard.permissions import CASES
from warehouse.cases.listing import DEFAULT_LIMIT, GRADES, MOST, MOST_KEYS, SEVERITIES, SHOWN, SORTS
from warehouse.cases.revisions import CHANGED, MOST_NOTE, STATES, UNDONE

CASE = f"{CASES}/{{case}}"
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": "string", "format": "date-time", "description": "To the hour; to the second where k is 1."}
_CASE: dict[str, Schema] = {
    "case": {**_TEXT, "description": "`MODULE.install.PSEUDONYM` or `MODULE.key.PSEUDONYM`"},
    "module": _TEXT,
    "id": _MAYBE,
    "key": _MAYBE,
    "state": {"enum": list(SHOWN)},
    "reopened": {"type": "boolean", "description": "It was closed, and there is more evidence now."},
    "assignee": _MAYBE,
    "revision": {**_NUMBER, "description": "Of the newest decision; 0 without one."},
    "rules": {"type": "array", "items": _TEXT, "description": "The rules of the flags that hold."},
    "severity": {"enum": [*SEVERITIES, None]},
    "grade": {"enum": [*GRADES, None]},
    "installs": {**_NUMBER, "description": "Installs in question: those with a flag that holds."},
    "reach": {**_NUMBER, "description": "Installs that the flags are about."},
    "days": {**_NUMBER, "description": "From the first to the last report that supports a flag, at least."},
    "score": {**_NUMBER, "description": "grade (1 to 3) × reach × days, both ends included"},
    "since": {**_TIME, "type": ["string", "null"]},
    "raised": {**_TIME, "type": ["string", "null"]},
    "touched": _TIME,
}
_REVISION: dict[str, Schema] = {
    "revision": _NUMBER,
    "at": _TIME,
    "who": _TEXT,
    "action": {"enum": [CHANGED, UNDONE]},
    "state": {"enum": list(STATES)},
    "assignee": _MAYBE,
    "note": _TEXT,
    "change": {**_TEXT, "description": "The id of the action, by which it is undone."},
}
_INSTALLS = rows(
    id=_TEXT, status=_TEXT, version=_TEXT, source=_TEXT, key=_MAYBE, country=_MAYBE, first_seen=_TIME, last_seen=_TIME
)
SCHEMAS: dict[str, Schema] = {
    "Cases": closed(
        ("next_cursor",),
        cases={**_NUMBER, "description": "All cases that match."},
        installs={**_NUMBER, "description": "The installs that they are about."},
        keys={**_NUMBER, "description": "How many of the cases are about a key."},
        rows=rows(**_CASE),
        next_cursor={**_TEXT, "description": "Goes back as `cursor`; absent on the last page."},
    ),
    "Case": closed(
        **_CASE,
        flags=rows(
            id=_TEXT, rule=_TEXT, event=_TEXT, at=_TIME, since=_TIME, severity=_TEXT, grade=_TEXT, reach=_NUMBER,
            pieces=rows(text=_TEXT, grade=_TEXT), why=_TEXT,
            innocent={"type": "array", "items": _TEXT, "description": "What else may explain it."},
        ),
        in_question=_INSTALLS,
        others={**_INSTALLS, "description": "Other installs that reported the same key."},
        revisions=rows(**_REVISION),
        events=rows(at=_TIME, kind=_TEXT, text=_TEXT, id=_MAYBE),
    ),
    "Revision": closed(**_REVISION),
    "Conflict": {
        **PROBLEM,
        "required": [*PROBLEM["required"], "change"],
        "properties": {**PROBLEM["properties"], "change": closed(**_REVISION)},
    },
    "Decision": {
        "type": "object",
        "description": "At least one of `state`, `assignee`, `note` and `undo` is given.",
        "additionalProperties": False,
        "required": ["revision"],
        "properties": {
            "revision": {**_NUMBER, "description": "The newest that you saw; 409 if there is a newer one."},
            "state": {"enum": [*STATES, None]},
            "assignee": {**_MAYBE, "description": "A user; an empty text for nobody."},
            "note": {
                **_TEXT, "maxLength": MOST_NOTE,
                "description": "No control characters but tabs and line ends; none that change the direction of text.",
            },
            "undo": {**_TEXT, "description": "The `change` to take back, in place of the other members."},
        },
    },
}  # fmt: skip
_LISTED = {"state": [*SHOWN, "all"], "severity": SEVERITIES, "grade": GRADES}
PARAMETERS: dict[str, tuple[str, Schema, str]] = {
    f"cases.{name}": (name, schema, text)
    for name, schema, text in (
        *((name, _TEXT, f"Of {', '.join(values)}, with commas between.") for name, values in _LISTED.items()),
        ("rule", {**_TEXT, "maxLength": 64}, "A rule whose flag holds."),
        ("assignee", {**_TEXT, "maxLength": 64}, "A user, or `nobody`."),
        ("key", _TEXT, f"Pseudonyms of license keys, at most {MOST_KEYS}, with commas between."),
        ("sort", {"enum": list(SORTS), "default": "worst"}, "The order."),
        ("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}, "Rows of a page."),
    )
}


def post(get: dict[str, Any]) -> dict[str, Any]:
    """Return the operation that decides about a case, from the one that reads it."""
    problem = get["responses"]["422"]["content"]
    conflict = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Conflict"}}}
    return {
        **get,
        "summary": "Decide about a case",
        "operationId": "decide_case",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}},
        },
        "responses": {
            **get["responses"],
            "200": {
                "description": "The new revision.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Revision"}}},
            },
            "404": {"description": "There is no such case.", "content": problem},
            "409": {"description": "Somebody was faster; `change` is what they did.", "content": conflict},
        },
    }
