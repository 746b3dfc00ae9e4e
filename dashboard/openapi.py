"""The OpenAPI description of the read API, generated from the tables of metrics, questions and dimensions. Pure."""

from collections.abc import Iterable
from typing import Any

from core.fields import FIELDS
from dashboard import answer_schemas, cases_openapi, trends_api
from dashboard.answer_schemas import Schema
from dashboard.largest import MOST_LIMIT
from dashboard.permissions import API_RULES, CASES, EVERYONE, KEYS, RELEASES, REPORTERS, TRENDS
from dashboard.reported_releases import MOST
from warehouse.licensing.findings import GRADES, SEVERITIES
from warehouse.licensing.rules import BY_NAME
from warehouse.queries import dimensions, license_flags, licensing
from warehouse.queries.metric_query import COUNTS, DEFAULT_DAYS, GRAINS, METRICS
from warehouse.queries.questions import QUESTIONS, adoption, upgrades, whole_buckets

OPENAPI = "/api/v1/openapi.json"
_METRIC = "/api/v1/metrics/{}"
_SUMMARIES = {
    "installs": "Distinct installs with a beacon",
    "feature_installs": "Distinct installs that used a feature",
    "feature_uses": "The sum of uses",
}
_DATE: Schema = {"type": "string", "format": "date"}
_TEXT: Schema = {"type": "string", "maxLength": dimensions.LONGEST}
_PSEUDONYM: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}
_KEY_HASH: Schema = {
    "type": "object",
    "properties": {"key_hash": {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}},
    "required": ["key_hash"],
    "additionalProperties": False,
}
_FLAG_FILTERS = ("licensing.module", "flag", "severity", "grade")
_PROBLEMS = {
    "401": "The token is missing or unknown.",
    "403": "The role of the token may not read this.",
    "422": "A parameter is wrong; `path` names it.",
    "429": "Too many questions of this token at once.",
    "503": "ClickHouse does not answer.",
}


def document() -> dict[str, Any]:
    """Return an OpenAPI 3.1 document."""
    answers = {f"{name.capitalize()}Answer": schema for name, schema in answer_schemas.QUESTIONS.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pharos read API",
            "version": "1",
            "description": "Figures of installs. No figure counts fewer than k installs.",
        },
        "paths": {
            **{_METRIC.format(name): _get(name, _SUMMARIES[name], _of_metric(), "MetricAnswer") for name in METRICS},
            **{
                _METRIC.format(name): _get(
                    name, kind.summary, _of_question(name), f"{name.capitalize()}Answer", kind.required
                )
                for name, kind in QUESTIONS.items()
            },
            "/api/v1/licensing/installs": _get(
                "licensing_installs",
                "A row for each install and module",
                [*_FLAG_FILTERS, "status", "review", "licensing.key", "licensing.limit", "cursor"],
                "LicensingInstalls",
                rule="/api/v1/licensing/installs",
            ),
            "/api/v1/licensing/flags": _get(
                "licensing_flags",
                "The rules, the flags, and the incidents of the vendor",
                [*_FLAG_FILTERS, "state", "licensing.id", "licensing.key", "licensing.limit", "cursor"],
                "LicensingFlags",
                rule="/api/v1/licensing/flags",
            ),
            CASES: _get(
                "cases",
                "Cases of the license plane, worst first",
                ["licensing.module", *cases_openapi.PARAMETERS, "cursor"],
                "Cases",
                rule=CASES,
            ),
            cases_openapi.CASE: _case(),
            TRENDS: _get(
                "licensing_trends",
                "Flags by week and rule, flagged installs that report a license later, the estimated unlicensed share",
                ["licensing.module"],
                "LicensingTrends",
                rule=TRENDS,
            ),
            RELEASES: {
                **_get("releases", "The releases of modules, newest first", [], "Releases", rule=RELEASES),
                "post": _post_releases(),
            },
            KEYS: {
                "post": {
                    **_get("licensing_keys", "The pseudonym of a license key", [], "LicensingKey", rule=KEYS)["get"],
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": _KEY_HASH}},
                    },
                }
            },
            OPENAPI: {
                "get": {
                    "summary": "This document",
                    "operationId": "openapi",
                    "responses": {"200": _answer("The document.", {"type": "object"})},
                }
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": _parameters(),
            "schemas": {
                "MetricAnswer": answer_schemas.METRIC,
                **answers,
                "LicensingInstalls": answer_schemas.LICENSING_INSTALLS,
                "LicensingFlags": answer_schemas.LICENSING_FLAGS,
                **cases_openapi.SCHEMAS,
                "LicensingTrends": trends_api.SCHEMA,
                "Releases": answer_schemas.RELEASES,
                "Release": answer_schemas.RELEASE,
                "LicensingKey": answer_schemas.LICENSING_KEY,
                "Problem": answer_schemas.PROBLEM,
            },
        },
    }


def _get(
    name: str,
    summary: str,
    parameters: Iterable[str],
    schema: str,
    required: tuple[str, ...] = (),
    rule: str = "/api/v1/metrics/<metric>",
) -> dict[str, Any]:
    roles = API_RULES[rule] or EVERYONE
    refs = [_required(one) if one in required else {"$ref": f"#/components/parameters/{one}"} for one in parameters]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "get": {
            "summary": summary,
            "description": f"Roles: {', '.join(sorted(roles))}.",
            "operationId": name,
            "security": [{"token": []}],
            "parameters": refs,
            "responses": {
                "200": _answer(summary, {"$ref": f"#/components/schemas/{schema}"}),
                **{status: {"description": said, "content": problem} for status, said in _PROBLEMS.items()},
            },
        }
    }


def _post_releases() -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    release = {"$ref": "#/components/schemas/Release"}
    several = {"type": "array", "items": release, "minItems": 1, "maxItems": MOST}
    return {
        "summary": "Report one release, or several",
        "description": f"Roles: {', '.join(sorted(REPORTERS))}. The last report of a version counts.",
        "operationId": "report_releases",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": [release, several]}}}},
        "responses": {
            "200": _answer("The releases are stored.", answer_schemas.STORED),
            **{status: {"description": said, "content": problem} for status, said in _PROBLEMS.items()},
        },
    }


def _case() -> dict[str, Any]:
    get = _get("case", "A case with all that is known about it", [], "Case", rule=f"{CASES}/<case>")["get"]
    get["responses"]["404"] = {**get["responses"]["422"], "description": "There is no such case."}
    name = {"name": "case", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Its name."}
    return {"parameters": [name], "get": get, "post": cases_openapi.post(get)}


def _answer(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _of_metric() -> list[str]:
    return ["from", "to", "metric.grain", "metric.by", "count", "limit", *_filters(dimensions.ALL)]


def _of_question(name: str) -> list[str]:
    """Return the components of a question's parameters. A parameter that differs by question has its name in front."""
    known = _parameters()
    own = [f"{name}.{one}" if f"{name}.{one}" in known else one for one in QUESTIONS[name].parameters]
    own = [f"whole.{one}" if one == "grain" else one for one in own]
    return [*own, *_filters(one for one in dimensions.ALL if one not in ("license_source", "feature"))]


def _filters(names: Iterable[str]) -> list[str]:
    """Return the filters on dimensions: equalities, and conditions on those of versions."""
    found = list(names)
    return [*found, *(f"{one}.{op}" for one in found if one in dimensions.COMPARED for op in dimensions.OPERATORS)]


def _parameters() -> dict[str, Any]:
    """Return the components of parameters, by name."""
    by = ", ".join(("none", *dimensions.ALL))
    known: dict[str, tuple[str, Schema, str]] = {
        "from": ("from", _DATE, "The first day."),
        "to": ("to", _DATE, "The last day. Default: today, or the last day that is over."),
        "metric.grain": ("grain", {"enum": list(GRAINS), "default": "day"}, "The buckets."),
        "metric.by": ("by", {"type": "string"}, f"The keys: one or two, with a comma between, of {by}."),
        "count": ("count", {"enum": list(COUNTS), "default": "reported"}, "How an install with several values counts."),
        "limit": (
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MOST_LIMIT},
            f"The largest rows of each bucket only. Default: all. The default span is {DEFAULT_DAYS} days.",
        ),
        "whole.grain": (
            "grain",
            {"enum": list(whole_buckets.GRAINS), "default": "week"},
            f"The buckets. Only whole ones that are over count; by default the last {whole_buckets.DEFAULT_BUCKETS}.",
        ),
        "days": (
            "days",
            {"type": "integer", "minimum": 1, "maximum": adoption.MOST_DAYS, "default": adoption.DEFAULT_DAYS},
            "The number of days from the release on.",
        ),
        "upgrades.by": ("by", {"enum": list(upgrades.BY), "default": "version"}, "What is a version."),
        "licensing.module": ("module", _TEXT, "A module."),
        "status": ("status", {"type": "string"}, "License statuses with commas between; a leading ! excludes them."),
        "flag": ("flag", {"enum": [*BY_NAME, license_flags.ANY]}, "Only what this rule flags."),
        "severity": ("severity", {"enum": list(SEVERITIES)}, "Only flags of this severity."),
        "grade": ("grade", {"enum": list(GRADES)}, "Only flags whose weakest necessary evidence has this grade."),
        "state": ("state", {"enum": list(license_flags.STATES)}, "Only flags that are open, or paused by a dispute."),
        "review": ("review", {"enum": list(licensing.REVIEWS)}, "Only installs whose owner states something else."),
        "licensing.key": ("key", _PSEUDONYM, "Only what has this license key, a pseudonym."),
        "licensing.id": ("id", _PSEUDONYM, "Only flags of this install, with their history."),
        "licensing.limit": (
            "limit",
            {"type": "integer", "minimum": 1, "maximum": license_flags.MOST, "default": license_flags.DEFAULT_LIMIT},
            "Rows of a page.",
        ),
        **cases_openapi.PARAMETERS,
        "cursor": ("cursor", {"type": "string"}, "`next_cursor` of the page before."),
    }
    docs = {field.dimension: field.doc for field in FIELDS if field.dimension}
    for name in _filters(dimensions.ALL):
        dimension, _, operation = name.partition(".")
        text = docs.get(dimension, "")
        if operation:
            text = {"lt": "Below this version.", "le": "Up to this version.", "ge": "From this version on."}.get(
                operation, f"One of up to {dimensions.MOST_VALUES} values with commas between."
            )
        known[name] = name, {"type": "string"} if operation == "in" else _TEXT, text or "A filter."
    return {
        key: {"name": name, "in": "query", "required": False, "schema": schema, "description": text}
        for key, (name, schema, text) in known.items()
    }


def _required(name: str) -> dict[str, Any]:
    return {**_parameters()[name], "required": True}
