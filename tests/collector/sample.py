"""A beacon with every field, to be changed by dotted path."""

import copy
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

Beacon = dict[str, Any]

_FULL: Beacon = {
    "schema": 1,
    "reason": "heartbeat",
    "consent": {"level": "full", "policy": "2021-08"},
    "module": {"name": "invoice_pro", "version": "3.2.1"},
    "license": {"status": "licensed", "source": "whmcs-addon-modules", "key_hash": "0f" * 32},
    "server": {
        "public_ip": "203.0.113.9",
        "os": {"family": "linux", "name": "debian", "version": "12", "arch": "x86_64"},
        "virtualization": {"type": "kvm", "detection": "systemd-detect-virt"},
    },
    "platform": {
        "whmcs": "9.0.1",
        "php": "8.2.12",
        "database": "mariadb-10.11",
        "web_server": "apache-2.4",
        "sapi": "fpm-fcgi",
    },
    "features": {"invoice.pdf_export": 12, "bulk_email": 1},
}


def beacon(set: Mapping[str, Any] | None = None, drop: Iterable[str] = ()) -> Beacon:
    """A full beacon of a new install, sent now, with the fields of `set` put in and those of `drop` taken out."""
    return changed(
        {
            **_FULL,
            "beacon_id": str(uuid.uuid4()),
            "install_id": str(uuid.uuid4()),
            "sent_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        },
        set,
        drop,
    )


def changed(of: Beacon, set: Mapping[str, Any] | None = None, drop: Iterable[str] = ()) -> Beacon:
    """A copy with the fields of `set` put in and those of `drop` taken out."""
    copied = copy.deepcopy(of)
    for path, value in (set or {}).items():
        *parents, name = _steps(path)
        _below(copied, parents)[name] = copy.deepcopy(value)
    for path in drop:
        *parents, name = _steps(path)
        del _below(copied, parents)[name]
    return copied


def value(of: Beacon, path: str) -> Any:
    """What stands at `path`; `KeyError` when nothing does."""
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
