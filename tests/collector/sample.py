"""A beacon with every field. Tests change it by dotted paths."""

import copy
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from core.fields import example

Beacon = dict[str, Any]


def beacon(set: Mapping[str, Any] | None = None, drop: Iterable[str] = ()) -> Beacon:
    """Return a complete beacon of a new install, sent now. `set` adds fields and `drop` removes them."""
    return changed(
        {
            **example(),
            "beacon_id": str(uuid.uuid4()),
            "install_id": str(uuid.uuid4()),
            "sent_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
        set,
        drop,
    )


def changed(of: Beacon, set: Mapping[str, Any] | None = None, drop: Iterable[str] = ()) -> Beacon:
    """Return a copy with the fields of `set` added and those of `drop` removed."""
    copied = copy.deepcopy(of)
    for path, value in (set or {}).items():
        *parents, name = _steps(path)
        _below(copied, parents)[name] = copy.deepcopy(value)
    for path in drop:
        *parents, name = _steps(path)
        del _below(copied, parents)[name]
    return copied


def value(of: Beacon, path: str) -> Any:
    """Return the value at `path`. Raises `KeyError` if there is none."""
    found: Any = of
    for name in _steps(path):
        found = found[name]
    return found


def _steps(path: str) -> list[str]:
    # A feature's own name may hold dots.
    return path.split(".", 1) if path.startswith("features.") else path.split(".")


def _below(found: Any, parents: list[str]) -> Any:
    for name in parents:
        found = found.setdefault(name, {})
    return found
