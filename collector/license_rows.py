"""Validates licenses for the registry, from a CSV file or from JSON, and makes rows for the spool of them. Pure."""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from collector.rights.encryption import decrypt, encrypt
from collector.validate import Reason, Rejected
from core.fields import FIELDS
from core.home import derive
from core.license_keys import LicenseKeys
from warehouse.licensing.registry import STATES, Row

COLUMNS = ("key_hash", "module", "state", "max_installs", "copies", "source", "valid_from", "valid_until")
MOST_ROWS = 500
MOST_INSTALLS = 4_294_967_295
_PATTERNS = {field.path: field.pattern for field in FIELDS}


class LicenseRows:
    """Makes the rows of the registry with the keys of one root secret."""

    def __init__(self, root_secret: bytes) -> None:
        self._keys = LicenseKeys(root_secret)
        self._seal = derive(root_secret, "license registry")

    def row(self, value: Any, now: datetime) -> Row:
        """Return the row for a JSON object with `COLUMNS`; an absent column, null and "" mean no value.

        Raises `Rejected`.
        """
        if not isinstance(value, Mapping):
            raise Rejected(Reason.WRONG_TYPE, "", "must be an object")
        if unknown := set(value) - set(COLUMNS):
            # The name may be anything, also a key.
            path = "key" if unknown == {"key"} else ""
            raise Rejected(Reason.UNKNOWN_FIELD, path, f"the fields are {', '.join(COLUMNS)}")
        given = {name: None if text == "" else text for name, text in value.items()}
        hashed = _text(given, "key_hash", _PATTERNS["license.key_hash"], required=True).lower()
        since, until = _day(given, "valid_from"), _day(given, "valid_until")
        if since and until and until < since:
            raise Rejected(Reason.OUT_OF_RANGE, "valid_until", "must not be before valid_from")
        state = _text(given, "state", None, required=True)
        if state not in STATES:
            raise Rejected(Reason.BAD_FORMAT, "state", f"must be one of {', '.join(STATES)}")
        return Row(
            self._keys.pseudonym(hashed),
            _text(given, "module", _PATTERNS["module.name"], required=True),
            now.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds"),
            state,
            _whole(given, "max_installs", 1, 0),
            _whole(given, "copies", 0, 1),
            _text(given, "source", _PATTERNS["license.source"]),
            since,
            until,
            base64.b64encode(encrypt(self._seal, hashed)).decode(),
        )

    def key_hash(self, sealed: str) -> str:
        """Return the key_hash of a row. Raises `ValueError` under another root secret."""
        return str(decrypt(self._seal, base64.b64decode(sealed)))


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a license: what `LicenseRows.row` takes as JSON."""
    day = {"type": ["string", "null"], "format": "date"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["key_hash", "module", "state"],
        "properties": {
            "key_hash": {"type": "string", "pattern": f"^{_PATTERNS['license.key_hash']}$"},
            "module": {"type": "string", "pattern": f"^{_PATTERNS['module.name']}$"},
            "state": {"type": "string", "enum": list(STATES)},
            "max_installs": _number_schema(1, "Absent or null: no limit."),
            "copies": _number_schema(0, "Absent or null: 1."),
            "source": {"type": ["string", "null"], "pattern": f"^{_PATTERNS['license.source']}$"},
            "valid_from": day,
            "valid_until": day,
        },
    }


def _number_schema(least: int, absent: str) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": least, "maximum": MOST_INSTALLS, "description": absent}


def encode(row: Row) -> bytes:
    """Return a row for the spool."""
    return msgspec.json.encode(row)


def _text(given: Mapping[str, Any], name: str, pattern: str | None, *, required: bool = False) -> str:
    value = given.get(name)
    if value is None:
        if required:
            raise Rejected(Reason.MISSING_FIELD, name, "is missing")
        return ""
    if not isinstance(value, str):
        raise Rejected(Reason.WRONG_TYPE, name, "must be text")
    if pattern is not None and not re.fullmatch(pattern, value, re.ASCII):
        raise Rejected(Reason.BAD_FORMAT, name, f"must match {pattern}")
    return value


def _whole(given: Mapping[str, Any], name: str, least: int, default: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Rejected(Reason.WRONG_TYPE, name, "must be a whole number")
    if not least <= value <= MOST_INSTALLS:
        raise Rejected(Reason.OUT_OF_RANGE, name, f"must be from {least} to {MOST_INSTALLS}; leave it out for no limit")
    return value


def _day(given: Mapping[str, Any], name: str) -> date | None:
    value = _text(given, name, r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
    try:
        # Date32 begins in 1900.
        return date.fromisoformat(value) if not value or value >= "1900" else date(1900, 1, 1)
    except ValueError:
        if not value:
            return None
        raise Rejected(Reason.BAD_FORMAT, name, "must be a date, YYYY-MM-DD") from None
