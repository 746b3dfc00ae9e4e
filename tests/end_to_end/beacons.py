"""Complete beacons for tests. Each call returns a new beacon of a new install."""

import uuid
from datetime import UTC, datetime
from typing import Any


def beacon(**changes: Any) -> dict[str, Any]:
    """Return a valid beacon sent now, with `changes` to its top-level members."""
    return {
        "schema": 1,
        "beacon_id": str(uuid.uuid4()),
        "install_id": str(uuid.uuid4()),
        "sent_at": datetime.now(UTC).isoformat(),
        "module": {"name": "invoice_pro", "version": "3.2.1"},
        "license": {"status": "licensed", "source": "whmcs-addon-modules", "key_hash": "ab" * 32},
        "server": {
            "public_ip": "203.0.113.9",
            "os": {"family": "linux", "name": "debian", "version": "12", "arch": "x86_64"},
            "virtualization": {"type": "kvm", "detection": "systemd-detect-virt"},
        },
        "platform": {"whmcs": "9.0.1", "php": "8.2.12", "database": "mariadb-10.11", "web_server": "apache-2.4"},
        "features": {"invoice.pdf_export": 1},
        **changes,
    }
