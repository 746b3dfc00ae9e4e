"""JSON Schemas of the answers of the read API. Pure. Tests validate real answers with them."""

from typing import Any

from core.fields import FIELDS, MODULE, VERSION
from warehouse.licensing.findings import GRADES, SEVERITIES
from warehouse.licensing.rules import RULES

Schema = dict[str, Any]
_STATUSES = next(field.choices for field in FIELDS if field.path == "license.status")


def closed(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """Return the schema of an object with these members and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def rows(**properties: Schema) -> Schema:
    """Return the schema of an array of such objects."""
    return {"type": "array", "items": closed(**properties)}


_TEXT: Schema = {"type": "string"}
_DATE: Schema = {"type": "string", "format": "date"}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_MAYBE_DATE: Schema = {"type": ["string", "null"], "format": "date"}
_INSTALLS: Schema = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "A number of installs. null: fewer than k, or it would disclose fewer than k together with others.",
}
_SHARE: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "installs / of"}
_PART = {"installs": _INSTALLS, "of": _INSTALLS, "share": _SHARE}
_BOUNDS = {
    "at_least": {**_INSTALLS, "description": "`installs`. Where that is null: those of the rows that meet it."},
    "at_most": {**_INSTALLS, "description": "`installs`. Where that is null: those of `(other)` in addition."},
}

# What every answer about installs has.
_COMMON: dict[str, Schema] = {
    "k": {"type": "integer", "minimum": 1, "description": "The smallest group that is shown (PHAROS_K)."},
    "fresh_to": {
        "type": ["string", "null"],
        "format": "date-time",
        "description": "All beacons accepted up to this time are in the figures.",
    },
    "exact": {"type": "boolean", "description": "false: the figures are rounded, or estimated from a sample."},
}
_SUPPRESSED = {**_NUMBER, "description": "Groups that are folded, or left out."}
_SAMPLED: Schema = {"type": "number", "description": "The part of the installs that was read, if not all were."}
_QUESTION: dict[str, Schema] = {
    "sampled": _SAMPLED,
    "metric": _TEXT,
    "from": {**_DATE, "description": "The first day that counts."},
    "to": {**_DATE, "description": "The last day that counts."},
    "filters": {"type": "object", "additionalProperties": _TEXT},
    **_COMMON,
    "coverage": closed(
        active={**_INSTALLS, "description": "Installs (of the module) that were active in the span."},
        answered={**_INSTALLS, "description": "Those of them that report what is asked about."},
    ),
}

METRIC = {
    **closed(
        ("more", "sampled"),
        **{
            "metric": _TEXT,
            "from": _DATE,
            "to": _DATE,
            "grain": _TEXT,
            "by": _MAYBE_TEXT,
            "count": _TEXT,
            **_COMMON,
            "suppressed": _SUPPRESSED,
            "open_from": {**_MAYBE_DATE, "description": "The first day whose figures change in steps of k installs."},
            "more": {**_NUMBER, "description": "Rows that `limit` leaves out."},
            "sampled": _SAMPLED,
        },
        rows={
            "type": "array",
            "items": closed(
                ("key", "keys", "interval"),
                bucket={**_DATE, "description": "The first day of the bucket."},
                key=_MAYBE_TEXT,
                keys={"type": "array", "items": _TEXT, "description": "With two dimensions, in place of `key`."},
                value={"type": ["integer", "null"], "description": "null: fewer than k installs, or none."},
                interval={"type": ["array", "null"], "items": {"type": "number"}, "description": "95%, of a sample."},
            ),
        },
    ),
    "title": "A metric by bucket and key",
}

_BUCKET = {**_DATE, "description": "The first day of the week or month."}
QUESTIONS: dict[str, Schema] = {
    "lifecycle": closed(
        ("sampled",),
        **_QUESTION,
        grain=_TEXT,
        count=_TEXT,
        rows=rows(
            bucket=_BUCKET, active=_INSTALLS, new=_INSTALLS, returning=_INSTALLS, resurrected=_INSTALLS, lost=_INSTALLS
        ),
    ),
    "retention": closed(
        ("feature", "sampled"),
        **_QUESTION,
        grain=_TEXT,
        feature=_TEXT,
        rows=rows(
            bucket=_BUCKET,
            installs=_INSTALLS,
            active={"type": "array", "items": _INSTALLS, "description": "Item n: those active n buckets later."},
        ),
    ),
    "first_use": closed(
        ("sampled",),
        **_QUESTION | {"from": _MAYBE_DATE},
        grain=_TEXT,
        feature=_TEXT,
        rows=rows(within={**_NUMBER, "description": "Days from the first report to the first use."}, **_PART),
    ),
    "adoption": closed(
        ("sampled",),
        **_QUESTION | {"from": _MAYBE_DATE},
        days=_NUMBER,
        released=_MAYBE_DATE,
        released_by={"enum": ["catalog", "reports", None], "description": "Where the date of the release is from."},
        rows=rows(day={**_NUMBER, "description": "Days since the release."}, **_PART),
    ),
    "upgrades": closed(
        ("sampled",),
        **_QUESTION,
        by=_TEXT,
        suppressed=_SUPPRESSED,
        rows=rows(
            **{"from": _TEXT, "to": _TEXT, "installs": _INSTALLS},
            median_days={"type": ["integer", "null"], "description": "Days on the version before; null for (other)."},
        ),
    ),
    "together": closed(
        ("sampled",),
        **_QUESTION,
        feature=_MAYBE_TEXT,
        of={
            **_INSTALLS,
            "description": "Installs that meet the filters and report features, or all where fewer than k do not.",
        },
        suppressed=_SUPPRESSED,
        rows=rows(
            features={"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2},
            installs=_INSTALLS,
            expected={"type": "number", "description": "Installs, if one feature said nothing about the other."},
        ),
    ),
    "drop": closed(
        ("sampled",),
        **_QUESTION,
        **_PART,
        **_BOUNDS,
        still_upgrading=closed(**_PART),
        suppressed=_SUPPRESSED,
        rows=rows(version=_TEXT, **_PART),
        features=rows(feature=_TEXT, installs=_INSTALLS, share=_SHARE, share_of_others=_SHARE),
    ),
}

_TIME = {"type": "string", "description": "To the day; to the second where k is 1."}
_RULE = {"type": "string", "enum": [rule.name for rule in RULES]}
_SEVERITY = {"type": "string", "enum": list(SEVERITIES)}
_GRADE = {"type": "string", "enum": list(GRADES)}
_TEXTS = {"type": "array", "items": _TEXT}
_FLAG: dict[str, Any] = {
    "rule": _RULE,
    "case": {**_TEXT, "description": "The case that the flag belongs to, at `/api/v1/licensing/cases/{case}`."},
    "severity": _SEVERITY,
    "grade": _GRADE,
    "since": {**_TIME, "description": "Start of the present run."},
    "evidence": _TEXT,
    "pieces": rows(text=_TEXT, grade=_GRADE),
    "innocent": _TEXTS,
    "state": {"enum": ["open", "disputed"]},
}
LICENSING_INSTALLS = closed(
    ("next_cursor",),
    next_cursor={
        **_TEXT,
        "description": "Goes back as `cursor`; absent on the last page. With `status` a page may be short, even empty.",
    },
    rows=rows(
        id=_TEXT,
        module=_TEXT,
        version=_TEXT,
        status={"type": "string", "enum": list(_STATUSES)},
        source=_TEXT,
        key=_MAYBE_TEXT,
        ip=_MAYBE_TEXT,
        country=_MAYBE_TEXT,
        first_seen=_TIME,
        last_seen=_TIME,
        flags=rows(**_FLAG),
        review={"enum": ["disputed", None]},
    ),
)
LICENSING_FLAGS = closed(
    ("next_cursor",),
    installs={**_NUMBER, "description": "Installs of the flags on all pages, each once."},
    next_cursor={**_TEXT, "description": "Goes back as `cursor`; absent on the last page."},
    rows=rows(rule=_RULE, severity=_SEVERITY, description=_TEXT, innocent=_TEXTS, installs=_NUMBER),
    flags=rows(
        **_FLAG,
        module=_TEXT,
        id={**_MAYBE_TEXT, "description": "The install; null for a flag about a key."},
        key=_MAYBE_TEXT,
        installs=_NUMBER,
        reach=_NUMBER,
        changed=_TIME,
    ),
    incidents=rows(
        module=_TEXT,
        since=_TIME,
        until={**_MAYBE_TEXT, "description": "Null while it lasts."},
        affected=_NUMBER,
        installs=_NUMBER,
    ),
)
# Only with the parameter `id`.
LICENSING_FLAGS["properties"]["history"] = rows(
    at=_TIME,
    module=_TEXT,
    rule=_RULE,
    event=_TEXT,
    why=_TEXT,
    severity=_SEVERITY,
    grade=_GRADE,
    since=_TIME,
    evidence=_TEXT,
)
LICENSING_KEY = closed(key=_TEXT)

RELEASES = closed(rows=rows(module=_TEXT, version=_TEXT, released=_DATE))
RELEASE = closed(
    ("released",),
    module={**_TEXT, "pattern": f"^{MODULE}$"},
    version={**_TEXT, "pattern": f"^{VERSION}$"},
    released={**_DATE, "description": "The first day (UTC). Default: today."},
)
STORED = closed(stored=_NUMBER)

PROBLEM = closed(
    type=_TEXT,
    title=_TEXT,
    status={"type": "integer"},
    reason=_TEXT,
    path={**_TEXT, "description": "The parameter."},
    detail=_TEXT,
)
