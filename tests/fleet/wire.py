"""What a beacon is, written down a second time from section 3 of the contract and from nothing else."""

import json
import re
from datetime import datetime
from typing import Any

Beacon = dict[str, Any]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
VERSION = r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,31}"
NAME = r"[a-z0-9][a-z0-9._-]{0,31}"
# Every field of the contract's section 3 with what its text must look like; features and schema are numbers.
FIELDS = {
    "beacon_id": UUID,
    "install_id": UUID,
    "sent_at": r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(Z|[+-][01]\d:[0-5]\d)",
    "reason": r"heartbeat|activate|deactivate|upgrade",
    "consent.level": r"full|license",
    "consent.policy": VERSION,
    "module.name": r"[a-z][a-z0-9_]{0,63}",
    "module.version": VERSION,
    "license.status": r"licensed|unlicensed|trial|expired|suspended|invalid|unknown",
    "license.source": r"[a-z0-9][a-z0-9._-]{0,63}",
    "license.key_hash": r"[0-9a-f]{64}",
    # Only the ranges reserved for documentation: no real host may be shown as a suspect.
    "server.public_ip": r"(192\.0\.2|198\.51\.100|203\.0\.113)\.([1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-4])"
    r"|2001:db8:[0-9a-f]{1,4}:[0-9a-f]{1,4}::[0-9a-f]{1,4}",
    "server.os.family": r"linux|windows|bsd|darwin|other|unknown",
    "server.os.name": NAME,
    "server.os.version": VERSION,
    "server.os.arch": NAME,
    "server.virtualization.type": r"none|unknown|other|qemu|kvm|amazon|zvm|vmware|microsoft|oracle|powervm|xen|bochs"
    r"|uml|parallels|bhyve|qnx|acrn|apple|sre|google|vm-other|systemd-nspawn|lxc-libvirt|lxc|openvz|docker|podman|rkt|wsl"
    r"|proot|pouch|container-other",
    "server.virtualization.detection": NAME,
    "platform.whmcs": VERSION,
    "platform.php": VERSION,
    "platform.database": VERSION,
    "platform.web_server": VERSION,
    "platform.sapi": VERSION,
}
REQUIRED = {
    "beacon_id", "install_id", "sent_at", "module.name", "module.version", "license.status", "license.source",
}  # fmt: skip
FEATURE = r"[a-z][a-z0-9_.]{0,63}"
NEEDS_FULL_CONSENT = ("server.os.", "server.virtualization.", "platform.")


def misfit(value: Any) -> str | None:
    """The first thing by which `value` is no beacon, or None."""
    if not isinstance(value, dict):
        return "no object"
    beacon = dict(value)
    if type(schema := beacon.pop("schema", None)) is not int or schema != 1:
        return "schema"
    license_only = isinstance(consent := beacon.get("consent"), dict) and consent.get("level") == "license"
    if "features" in beacon and (license_only or not fits_features(beacon.pop("features"))):
        return "features"
    texts = flat(beacon)
    for path, text in texts.items():
        if path not in FIELDS or not isinstance(text, str) or not re.fullmatch(FIELDS[path], text):
            return path
        if license_only and path.startswith(NEEDS_FULL_CONSENT):
            return path
    try:
        datetime.fromisoformat(texts.get("sent_at", ""))
    except ValueError:
        return "sent_at"
    return next(iter(REQUIRED - texts.keys()), None)


def fits_features(features: Any) -> bool:
    return (
        isinstance(features, dict)
        and len(features) <= 200
        and all(re.fullmatch(FEATURE, name) for name in features)
        and all(type(count) is int and 0 <= count <= 4_294_967_295 for count in features.values())
    )


def flat(value: Beacon, above: str = "") -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for name, inner in value.items():
        paths |= flat(inner, f"{above}{name}.") if isinstance(inner, dict) else {above + name: inner}
    return paths


def is_beacon(line: bytes) -> bool:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return misfit(value) is None
