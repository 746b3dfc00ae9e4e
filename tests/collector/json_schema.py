"""A minimal validator for JSON Schema 2020-12, to check beacons against the published schema."""

import re
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

_TYPES: dict[str, Any] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    # 2.0 is an integer; true and false, which are integers of Python's, are not.
    "integer": lambda value: type(value) is int or (isinstance(value, float) and value.is_integer()),
}
# What a keyword says of values of another type: nothing.
_ABOUT: dict[str, type] = {
    "pattern": str,
    "format": str,
    "maxItems": list,
    **dict.fromkeys(("maxProperties", "required", "properties", "propertyNames", "additionalProperties"), dict),
}


def _time(text: str) -> datetime:
    # RFC 3339 has t and z, too, and a leap second at the end of a day in UTC.
    time = datetime.fromisoformat(re.sub(r"^(.{17})60", r"\g<1>59", text.upper()))
    if text[17:19] == "60" and (time.replace(year=2000) - (time.utcoffset() or timedelta())).strftime("%H%M") != "2359":
        raise ValueError(text)
    return time


_FORMATS: dict[str, Any] = {"ipv4": IPv4Address, "ipv6": IPv6Address, "uuid": UUID, "date-time": _time}
_NOTES = {"$schema", "title", "description", "then"}


def satisfies(value: Any, schema: Any) -> bool:
    """Return whether `value` is valid under `schema`. Raises `KeyError` for an unsupported keyword."""
    if isinstance(schema, bool):
        return schema
    return all(
        _KEYWORDS[word](value, wanted, schema)
        for word, wanted in schema.items()
        if word not in _NOTES and isinstance(value, _ABOUT.get(word, object))
    )


def _format(value: Any, wanted: str, _: Any) -> bool:
    try:
        _FORMATS[wanted](value)
    except ValueError:
        return False
    return True


def _additional(value: Any, wanted: Any, schema: Any) -> bool:
    known = schema.get("properties", {})
    return all(satisfies(v, wanted) for name, v in value.items() if name not in known)


_KEYWORDS: dict[str, Any] = {
    "type": lambda value, wanted, _: any(
        _TYPES[each](value) for each in ([wanted] if isinstance(wanted, str) else wanted)
    ),
    "const": lambda value, wanted, _: value == wanted and not isinstance(value, bool),
    "enum": lambda value, wanted, _: value in wanted,
    # `$` of ECMA-262 is the end, and not also before a last newline.
    "pattern": lambda value, wanted, _: re.search(re.sub(r"\$\Z", r"\\Z", wanted), value) is not None,
    "format": _format,
    "minimum": lambda value, wanted, _: value >= wanted,
    "maximum": lambda value, wanted, _: value <= wanted,
    "maxItems": lambda value, wanted, _: len(value) <= wanted,
    "maxProperties": lambda value, wanted, _: len(value) <= wanted,
    "required": lambda value, wanted, _: all(name in value for name in wanted),
    "properties": lambda value, wanted, _: all(satisfies(value[n], s) for n, s in wanted.items() if n in value),
    "propertyNames": lambda value, wanted, _: all(satisfies(name, wanted) for name in value),
    "additionalProperties": _additional,
    "anyOf": lambda value, wanted, _: any(satisfies(value, each) for each in wanted),
    "if": lambda value, wanted, schema: not satisfies(value, wanted) or satisfies(value, schema["then"]),
}
