"""The beacons of a body, valid and rejected, and the answer about them. Pure."""

from typing import Any

import msgspec

from collector.problems import Refused
from collector.validate import MAX_BATCH, Reason, Rejected, validate
from core.credentials import IngestKey

# Each with its index in the body.
Rejections = list[tuple[int, Rejected]]


def validate_all(value: Any, key: IngestKey) -> tuple[list[dict[str, Any]], Rejections, bool]:
    """Return the valid beacons of a body, the rejections with their indexes, and whether the body was a batch."""
    many = isinstance(value, list)
    items = value if many else [value]
    if many and len(items) > MAX_BATCH:
        return [], [(0, Rejected(Reason.TOO_MANY_ITEMS, detail=f"a batch has at most {MAX_BATCH} beacons"))], False
    if not items:
        return [], [(0, Rejected(Reason.MISSING_FIELD, detail="the batch is empty"))], False
    beacons: list[dict[str, Any]] = []
    rejected: Rejections = []
    for index, item in enumerate(items):
        try:
            beacon = validate(item)
            if not key.allows(beacon["module"]["name"]):
                raise Rejected(Reason.MODULE_NOT_ALLOWED, "module.name", "the ingest key is not valid for this module")
            beacons.append(beacon)
        except Rejected as error:
            # Store a copy: the raised exception keeps this frame and the body until the next garbage collection.
            rejected.append((index, Rejected(*error.args)))
    return beacons, rejected, many


def refused(rejected: Rejections, many: bool) -> Refused:
    """Return the answer if no beacon was valid: it has the first reason, and for a batch all of them.

    It is a 403 only if the key is the only fault, because another key does not help an invalid beacon.
    """
    first = next((error for _, error in rejected if error.reason is not Reason.MODULE_NOT_ALLOWED), rejected[0][1])
    return Refused(first, rejected=listed(rejected)) if many else Refused(first)


def answer(accepted: int, duplicates: int, objected: int, undeclared: int, rejected: Rejections, next_in: int) -> bytes:
    """Return the body of a 202."""
    return msgspec.json.encode(
        {
            "accepted": accepted,
            "duplicates": duplicates,
            **({"objected": objected} if objected else {}),
            **({"undeclared": undeclared} if undeclared else {}),
            "rejected": listed(rejected),
            "next_in": next_in,
        }
    )


def listed(rejected: Rejections) -> list[dict[str, Any]]:
    """Return rejections as an answer lists them."""
    return [
        {"index": index, "reason": error.reason, "path": error.path, "detail": error.detail}
        for index, error in rejected
    ]
