"""The OpenAPI description of the collector, generated from the field table and the table of reasons."""

from typing import Any

from collector import license_rows, pace
from collector.problems import STATUS, TITLES
from collector.rights import api
from collector.validate import MAX_BATCH, Reason
from core.fields import json_schema

# Reasons that apply to every operation: requests rejected before routing, another method at its path, and failures.
_ANY = (
    Reason.METHOD_NOT_ALLOWED,
    Reason.BAD_REQUEST,
    Reason.URI_TOO_LONG,
    Reason.EXPECTATION_FAILED,
    Reason.HEADERS_TOO_LARGE,
    Reason.UNAVAILABLE,
)
_BODY = (Reason.LENGTH_REQUIRED, Reason.BODY_TOO_LARGE, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.MISSING_FIELD)
_BEACONS = (*_BODY, Reason.UNAUTHORIZED, Reason.MODULE_NOT_ALLOWED)


def document() -> dict[str, Any]:
    """Return an OpenAPI 3.1 document."""
    beacon = {name: value for name, value in json_schema().items() if name != "$schema"}
    body = {"required": True, "content": {"application/json": {"schema": _one_or_many("Beacon", MAX_BATCH)}}}
    encoding = {
        "name": "Content-Encoding",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "enum": ["identity", "gzip", ""]},
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pharos collector",
            "version": "1",
            "description": "Receives beacons of licensed modules. An integer has no fraction, not even .0.",
        },
        "paths": {
            "/v1/beacons": {
                "post": {
                    "summary": "Post one beacon or a batch",
                    "operationId": "postBeacons",
                    "security": [{"ingestKey": []}],
                    "parameters": [encoding],
                    "requestBody": body,
                    "responses": {
                        "202": _answer(
                            "At least one beacon is on disk, from this request or an earlier one.", "Accepted"
                        ),
                        **_problems(*_BEACONS, Reason.RATE_LIMITED),
                    },
                }
            },
            "/v1/beacons/check": {
                "post": {
                    "summary": "Return what each plane would store for a body; stores nothing",
                    "operationId": "checkBeacons",
                    "security": [{"ingestKey": []}],
                    "parameters": [encoding],
                    "requestBody": body,
                    "responses": {
                        "200": _answer("The rows of both planes.", "Checked"),
                        **_problems(*_BEACONS),
                    },
                }
            },
            "/v1/licenses": {
                "put": {
                    "summary": "Put licenses into the registry, one or a batch; idempotent, and history is kept",
                    "operationId": "putLicenses",
                    "security": [{"registryKey": []}],
                    "parameters": [encoding],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _one_or_many("License", license_rows.MOST_ROWS)}},
                    },
                    "responses": {
                        "202": _answer("At least one license is on disk.", "LicensesAccepted"),
                        **_problems(*_BEACONS),
                    },
                }
            },
            "/v1/rights": {
                "post": {
                    "summary": "Submit a request of an install's owner; the install's id is the proof of ownership",
                    "operationId": "postRights",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RightsRequest"}}},
                    },
                    "responses": {
                        "202": _answer("The request is on disk, and runs after all earlier beacons.", "Receipt"),
                        **_problems(*_BODY, Reason.RATE_LIMITED),
                    },
                }
            },
            "/v1/rights/{ticket}": {
                "get": {
                    "summary": "Return the outcome of a request",
                    "operationId": "getRights",
                    "parameters": [
                        {"name": "ticket", "in": "path", "required": True, "schema": {"type": "string"}},
                    ],
                    "responses": {
                        "200": _answer("The state of the request, and the result of an access.", "Outcome"),
                        **_problems(Reason.NOT_FOUND),
                    },
                }
            },
            "/v1/schema.json": _get("getSchema", "The JSON Schema of a beacon", "application/schema+json", _OBJECT),
            "/openapi.json": _get("getOpenapi", "This document", "application/json", _OBJECT),
            "/healthz": _get("getHealth", "Whether the process answers", "application/json", _status("ok")),
            "/readyz": _get("getReady", "Whether the collector accepts beacons now", "application/json", _READY),
            "/metrics": _get(
                "getMetrics",
                "Prometheus metrics, for loopback, an admin token and the token in PHAROS_METRICS_TOKEN",
                "text/plain",
                {"type": "string"},
                Reason.UNAUTHORIZED,
            ),
        },
        "components": {
            "securitySchemes": {
                "ingestKey": {"type": "http", "scheme": "bearer"},
                "registryKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `pharos keys new --registry`.",
                },
            },
            "schemas": {
                "Beacon": beacon,
                "Rejection": _closed(
                    index={"type": "integer", "minimum": 0},
                    reason={"type": "string", "enum": [str(reason) for reason in Reason]},
                    path={"type": "string"},
                    detail={"type": "string"},
                ),
                "Accepted": _closed(
                    optional=("objected", "undeclared"),
                    accepted={"type": "integer", "minimum": 0},
                    duplicates={"type": "integer", "minimum": 0},
                    objected={"type": "integer", "minimum": 1, "description": "Not stored: their owner objected."},
                    undeclared={
                        "type": "integer",
                        "minimum": 1,
                        "description": "Not stored: the catalog does not declare the module.",
                    },
                    rejected={"type": "array", "items": {"$ref": "#/components/schemas/Rejection"}},
                    next_in={
                        "type": "integer",
                        "minimum": 1,
                        "maximum": pace.LONGEST,
                        "description": "Seconds until the next heartbeat: 12 to 36 hours, more under load.",
                    },
                ),
                "Checked": _closed(
                    beacons={"type": "array", "items": _CHECKED},
                    rejected={"type": "array", "items": {"$ref": "#/components/schemas/Rejection"}},
                    address={"type": "string", "description": "The address of the sender, as the collector sees it."},
                ),
                "License": license_rows.schema(),
                "LicensesAccepted": _closed(
                    accepted={"type": "integer", "minimum": 1},
                    rejected={"type": "array", "items": {"$ref": "#/components/schemas/Rejection"}},
                ),
                "RightsRequest": api.request_schema(),
                "Receipt": _closed(request={"type": "string"}, status={"type": "string"}),
                "Outcome": _closed(
                    state={"type": "string", "enum": ["pending", "done", "failed"]},
                    action={"type": "string", "enum": list(api.ACTIONS)},
                    result={"type": ["object", "null"], "description": "For an access: all stored data, by plane."},
                ),
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "reason", "path", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "reason": {"type": "string", "enum": [str(reason) for reason in Reason]},
                        "path": {"type": "string", "description": "The field, such as server.os.name."},
                        "detail": {"type": "string"},
                        "rejected": {
                            "type": "array",
                            "items": {"$ref": "#/components/schemas/Rejection"},
                            "description": "For a batch, the errors of each beacon.",
                        },
                    },
                },
            },
        },
    }


def _one_or_many(name: str, most: int) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{name}"}
    return {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": most}]}


def _closed(optional: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def _answer(description: str, schema: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _problems(*reasons: Reason) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": TITLES[status], "headers": _HEADERS.get(status, {}), "content": content}
        for status in sorted({STATUS[reason] for reason in (*reasons, *_ANY)})
    }


_RETRY = {"Retry-After": {"required": True, "schema": {"type": "integer", "minimum": 1}}}
_HEADERS = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string", "const": "Bearer"}}},
    405: {"Allow": {"required": True, "schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}
_OBJECT = {"type": "object"}
_ROW = {"type": ["object", "null"]}


_CHECKED = _closed(
    ("undeclared", "development"),
    usage={**_ROW, "description": "The row of the usage plane."},
    license={**_ROW, "description": "The row of the license plane."},
    clock_skewed={"type": "boolean"},
    undeclared={
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "description": "How many values the catalog removes, by kind.",
    },
    development={
        **_ROW,
        "description": "With a development key, of which no plane has a row: what the page Data would show.",
    },
)


def _status(value: str) -> dict[str, Any]:
    return _closed(status={"type": "string", "const": value})


_READY = {
    **_status("ready"),
    "properties": {
        "status": {"type": "string", "const": "ready"},
        "waiting": {"type": "integer", "minimum": 0, "description": "Beacons to load. Operators only."},
        "loading": {
            **_closed(
                status={"type": "string", "const": "failing"},
                since={"type": "string", "format": "date-time"},
                why={"type": "string"},
            ),
            "description": "Present while loading fails. Operators only.",
        },
        "down": {
            "type": "object",
            "additionalProperties": _closed(
                status={"type": "string", "const": "down"},
                since={"type": "string", "format": "date-time"},
                why={"type": "string"},
            ),
            "description": "Parts of `pharos serve` that do not run, by name; to the operator alone.",
        },
    },
}


def _get(operation: str, summary: str, media_type: str, schema: dict[str, Any], *reasons: Reason) -> dict[str, Any]:
    answer = {"description": summary, "content": {media_type: {"schema": schema}}}
    return {
        "get": {
            "summary": summary,
            "operationId": operation,
            "responses": {"200": answer, **_problems(*reasons)},
        }
    }
