"""Validates beacons. Pure; reports which field is wrong and why.

`decode` rejects invalid JSON. `validate` rejects JSON that is not a beacon. Both raise only `Rejected`, which never
contains the invalid value: it may be an e-mail address.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Literal

import msgspec

from core.fields import FIELDS, IPV4, IPV6, MAX_COUNT, MAX_FEATURES, OBJECTS, REQUIRED_OBJECTS, TIME, Field

MAX_BATCH = 500
BOM = b"\xef\xbb\xbf"


class Reason(StrEnum):
    """Why a request or a beacon was rejected. Answers, metric labels, logs and tests use the same string."""

    MALFORMED_JSON = "malformed_json"
    BAD_ENCODING = "bad_encoding"
    UNAUTHORIZED = "unauthorized"
    MODULE_NOT_ALLOWED = "module_not_allowed"
    OBJECTED = "objected"
    UNDECLARED = "undeclared"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BAD_REQUEST = "bad_request"
    LENGTH_REQUIRED = "length_required"
    PRECONDITION_FAILED = "precondition_failed"
    BODY_TOO_LARGE = "body_too_large"
    URI_TOO_LONG = "uri_too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    EXPECTATION_FAILED = "expectation_failed"
    HEADERS_TOO_LARGE = "headers_too_large"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_TYPE = "wrong_type"
    BAD_FORMAT = "bad_format"
    OUT_OF_RANGE = "out_of_range"
    TOO_MANY_ITEMS = "too_many_items"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


class Rejected(Exception):
    """A rejected request or beacon: `reason`, `path` of the field (`server.os.name`), and `detail` as text."""

    def __init__(self, reason: Reason, path: str = "", detail: str = "") -> None:
        super().__init__(reason, path, detail)
        self.reason, self.path, self.detail = reason, path, detail


def decode(body: bytes) -> Any:
    """Parse the JSON in `body`. Skips a byte order mark.

    Raises `Rejected` (malformed_json) for invalid JSON, NaN, Infinity, lone surrogates, invalid UTF-8, nesting that is
    too deep, and numbers that are too long for a beacon.
    """
    try:
        return msgspec.json.decode(body.removeprefix(BOM))
    except RecursionError:
        raise Rejected(Reason.MALFORMED_JSON, detail="the body is nested too deep") from None
    except UnicodeDecodeError:
        raise Rejected(Reason.MALFORMED_JSON, detail="the body is not valid UTF-8") from None
    except ValueError as error:
        # Keep msgspec's "(byte 5)", which locates the error. Drop the rest, which may contain the value.
        at = re.search(r"\(byte \d+\)$", str(error))
        where = f" {at[0]}" if at else ""
        raise Rejected(Reason.MALFORMED_JSON, detail=f"the body is not valid JSON{where}") from None


def validate(value: Any) -> dict[str, Any]:
    """Return `value` if it is a beacon, or a normalized copy of it.

    Raises `Rejected` for the first error.
    """
    try:
        try:
            msgspec.convert(value, Beacon)
        except msgspec.ValidationError:
            value = _respelled(value)
            msgspec.convert(value, Beacon)
    except msgspec.ValidationError as error:
        raise _rejected(str(error), value) from None
    except RecursionError:  # pragma: no cover - decode rejects such nesting
        raise Rejected(Reason.MALFORMED_JSON, detail="the body is nested too deep") from None
    beacon: dict[str, Any] = value
    if _moment(beacon["sent_at"]) is None:  # such as February 30, and a leap second
        beacon = {**beacon, "sent_at": _before_leap_second(beacon["sent_at"])}
    if beacon.get("consent", {}).get("level") == "license":
        for path in CONSENT_FULL:
            if holds(beacon, path):
                raise Rejected(Reason.UNKNOWN_FIELD, path, "must be absent at consent level license")
    address = beacon.get("server", {}).get("public_ip")
    if address is not None and not _is_global(address):
        raise Rejected(Reason.BAD_FORMAT, "server.public_ip", "must be a global IPv4 or IPv6 address")
    return beacon


def _moment(text: str) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return None


def _before_leap_second(text: str) -> str:
    """Return the time of the second before a leap second, which is the last of a day in UTC. Raises `Rejected`."""
    before = f"{text[:17]}59{text[19:]}"
    moment = _moment(before) if text[17:19] == "60" else None
    if moment is None:
        raise _bad_time()
    minutes = moment.hour * 60 + moment.minute - (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
    if minutes % 1440 != 1439:
        raise _bad_time()
    return before


def _respelled(value: Any, path: str = "") -> Any:
    """Return a normalized copy of a beacon, or of the object at `path`.

    An object that is `[]` becomes `{}`: PHP encodes an empty array so. `2.0` becomes 2, its equal in JSON (RFC 8259,
    JSON Schema).
    """
    if path in _OBJECTS_AND_COUNTS and value == [] and isinstance(value, list):
        return {}
    if path in OBJECTS or not path:
        if isinstance(value, dict):
            return {name: _respelled(inner, f"{path}.{name}".lstrip(".")) for name, inner in value.items()}
    elif path in _COUNTS and isinstance(value, dict):
        return {name: _integer(count) for name, count in value.items()}
    elif path in _INTEGERS:
        return _integer(value)
    return value


def _integer(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


_COUNTS = frozenset(field.path for field in FIELDS if field.kind == "counts")
_INTEGERS = frozenset(field.path for field in FIELDS if field.kind == "integer")
_OBJECTS_AND_COUNTS = _COUNTS.union(OBJECTS)


@lru_cache(maxsize=4096)
def _is_global(text: str) -> bool:
    if _IPV4.match(text):
        return True
    try:
        ip_address(text)
    except ValueError:
        return False
    return _IPV6.match(text) is not None


def holds(beacon: dict[str, Any], path: str) -> bool:
    """Whether a beacon has this field or object."""
    value: Any = beacon
    for name in path.split("."):
        if name not in value:
            return False
        value = value[name]
    return True


CONSENT_FULL = ("server.os", "server.virtualization", "platform", "features")


def _whole(pattern: str) -> str:
    # Not ^…$, because `$` also matches before a trailing newline.
    return rf"\A(?:{pattern})\Z"


_IPV4, _IPV6 = re.compile(_whole(IPV4)), re.compile(_whole(IPV6))


def type_of(field: Field) -> Any:
    """Return the type that msgspec validates a field's value against."""
    if field.kind == "integer":
        return Literal[1]
    if field.kind == "time":
        return Annotated[str, msgspec.Meta(pattern=_whole(TIME))]
    if field.kind == "counts":
        name = Annotated[str, msgspec.Meta(pattern=_whole(field.pattern))]
        count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
        return Annotated[dict[name, count], msgspec.Meta(max_length=MAX_FEATURES)]
    if field.choices:
        return Literal[field.choices]
    if field.pattern:
        return Annotated[str, msgspec.Meta(pattern=_whole(field.pattern))]
    return str


def _struct(path: str) -> type[msgspec.Struct]:
    """Return the struct of the object at `path` ("" is the beacon), with nested objects."""
    members: list[tuple[str, Any, bool]] = [
        (field.path, type_of(field), field.required) for field in FIELDS if field.path.rpartition(".")[0] == path
    ]
    members += [
        (child, _struct(child), child in REQUIRED_OBJECTS) for child in OBJECTS if child.rpartition(".")[0] == path
    ]
    name = "".join(part.capitalize() for part in path.split(".")) or "Beacon"
    return msgspec.defstruct(
        name,
        [
            (full.rpartition(".")[2], kind) if required
            # UNSET and not None: null is a wrong type, not an absent field.
            else (full.rpartition(".")[2], kind | msgspec.UnsetType, msgspec.UNSET)
            for full, kind, required in members
        ],
        kw_only=True,
        forbid_unknown_fields=True,
    )  # fmt: skip


Beacon = _struct("")
# Use the type once: msgspec inspects a type at its first use, and crashes if two threads do that at once.
msgspec.json.Decoder(Beacon)

_AT = re.compile(r" - at `(?:key` in `)?\$(?P<path>[\w.\[\]]*)`\Z")
# Lazy, and matched first: the name comes from the sender and may look like the rest of the message.
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$\.?(?P<path>[a-z_.]*)`)?\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>\w+)`")
_PLAIN_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]{0,63}\Z")


def _rejected(message: str, value: Any) -> Rejected:
    """Convert msgspec's message about `value` to a `Rejected` without any part of the value."""
    if unknown := _UNKNOWN.match(message):
        return _unknown_field(unknown["name"], unknown["path"] or "")
    at = _AT.search(message)
    path = at["path"].replace("[...]", "").lstrip(".") if at else ""
    message = message[: at.start()] if at else message
    if missing := _MISSING.match(message):
        path = f"{path}.{missing['name']}".lstrip(".")
        return Rejected(Reason.MISSING_FIELD, path, "is required")
    if path == "features" and isinstance(value.get("features"), dict):
        return _features_rejected(value["features"])
    if expected := re.match(r"Expected `(\w+)`, got `(\w+)`", message):
        return Rejected(Reason.WRONG_TYPE, path, f"must be {expected[1]}, not {expected[2]}")
    if message.startswith("Invalid enum value"):
        if path == "schema":
            return Rejected(Reason.OUT_OF_RANGE, path, "must be 1")
        choices = next((f.choices for f in FIELDS if f.path == path), ())
        return Rejected(Reason.BAD_FORMAT, path, f"must be one of {', '.join(choices)}")
    field = next((f for f in FIELDS if f.path == path), None)
    if field is not None and field.kind == "time":
        return _bad_time()
    if field is not None and field.pattern:
        return Rejected(Reason.BAD_FORMAT, path, f"must match {field.pattern}")
    return Rejected(Reason.BAD_FORMAT, path, "does not have the format of this field")


def _unknown_field(name: str, path: str) -> Rejected:
    """Return the rejection of an unknown field.

    It has the field's name, to help find a typing error. A name that is not an identifier may be a value and is
    omitted.
    """
    known = path if path in OBJECTS else ""
    named = known == path and _PLAIN_NAME.match(name)
    where = f"{known}.{name}".lstrip(".") if named else known
    return Rejected(Reason.UNKNOWN_FIELD, where, "is not a field of a beacon")


def _bad_time() -> Rejected:
    return Rejected(Reason.BAD_FORMAT, "sent_at", "must be an RFC 3339 time with a time zone")


_FEATURE = re.compile(_whole(next(f.pattern for f in FIELDS if f.path == "features")))


def _features_rejected(features: dict[str, Any]) -> Rejected:
    """Return the first error in `features`. msgspec does not report the name."""
    if len(features) > MAX_FEATURES:
        return Rejected(Reason.TOO_MANY_ITEMS, "features", f"must have at most {MAX_FEATURES} names")
    for name, count in features.items():
        if not _FEATURE.match(name):
            return Rejected(Reason.BAD_FORMAT, "features", f"a name must match {_FEATURE.pattern[5:-3]}")
        if type(count) is not int:
            return Rejected(Reason.WRONG_TYPE, f"features.{name}", "must be int")
        if not 0 <= count <= MAX_COUNT:
            return Rejected(Reason.OUT_OF_RANGE, f"features.{name}", f"must be 0 to {MAX_COUNT}")
    return Rejected(Reason.BAD_FORMAT, "features", "does not have the format of this field")
