"""The table of beacon fields. Validation, JSON schema, OpenAPI, plane columns and the field reference derive from it.

To add a field, add a row here, a numbered SQL file and a case in `tests/cases`. Tests fail if one is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["integer", "string", "uuid", "time", "address", "counts"]

VERSION = "[0-9A-Za-z][0-9A-Za-z.+~_-]{0,31}"
NAME = "[a-z0-9][a-z0-9._-]{0,31}"
MODULE = "[a-z][a-z0-9_]{0,63}"
FEATURE = "[a-z][a-z0-9_.]{0,63}"
# RFC 3339 with zone, as far as a pattern can check. `date-time` checks the days of a month. A leap second is `:60`.
TIME = (
    "(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)"
    r"(?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
# A public IPv4 address, including those reserved for documentation, which examples use. It may be mapped to IPv6,
# because PHP reports it like that on a server that listens on both.
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4 = (
    r"(?:::[Ff]{4}:)?(?!0\.|10\.|127\.|169\.254\.|192\.0\.0\.|192\.168\.|198\.1[89]\.|2(?:2[4-9]|[3-5][0-9])\."
    r"|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\.|172\.(?:1[6-9]|2[0-9]|3[01])\.)"
    rf"{_OCTET}(?:\.{_OCTET}){{3}}"
)
# Global unicast, 2000::/3.
IPV6 = "[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:.]*"
UUID = "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"

MAX_FEATURES = 200
MAX_COUNT = 4_294_967_295

# The output of systemd-detect-virt (systemd 257), plus our own "unknown" (not detectable) and "other" (not listed).
VIRTUALIZATION = (
    "none", "unknown", "other",
    "qemu", "kvm", "amazon", "zvm", "vmware", "microsoft", "oracle", "powervm", "xen", "bochs", "uml", "parallels",
    "bhyve", "qnx", "acrn", "apple", "sre", "google", "vm-other",
    "systemd-nspawn", "lxc-libvirt", "lxc", "openvz", "docker", "podman", "rkt", "wsl", "proot", "pouch",
    "container-other",
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One field of a beacon.

    `path` is its place in the JSON. `usage` and `license` name its column in that plane, empty if the plane never
    stores it. `dimension` is its name in the read API. `full` fields are absent at consent level `license`.
    """

    path: str
    kind: Kind
    doc: str
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    usage: str = ""
    license: str = ""
    dimension: str = ""
    full: bool = False


FIELDS: tuple[Field, ...] = (
    Field("schema", "integer", "Version of this format: 1.", required=True),
    Field("beacon_id", "uuid", "Random, new for each beacon, unchanged in a retry. Never stored: a keyed hash "
          "of it recognizes a retry.", required=True, pattern=UUID),
    Field("install_id", "uuid", "Random, made by the install and known to nobody else. Never stored: each plane has "
          "its own pseudonym.", required=True, pattern=UUID),
    Field("sent_at", "time", "RFC 3339 time with zone. Its UTC date is the beacon's day when it lies between 7 days "
          "ago and 10 minutes ahead; the day of receipt otherwise.", required=True),
    Field("reason", "string", "Why it was sent (default heartbeat). Counted by the collector, not stored.",
          choices=("heartbeat", "activate", "deactivate", "upgrade")),
    Field("consent.level", "string", "What the server's owner agreed to (default full). Not stored.",
          choices=("full", "license")),
    Field("consent.policy", "string", "The privacy policy's version that was agreed to. Not stored.", pattern=VERSION),
    Field("module.name", "string", "The addon module.", required=True, pattern=MODULE,
          usage="module", license="module", dimension="module"),
    Field("module.version", "string", "The module's version.", required=True, pattern=VERSION,
          usage="version", license="version", dimension="version"),
    Field("license.status", "string", "The license as the module sees it.", required=True,
          choices=("licensed", "unlicensed", "trial", "expired", "suspended", "invalid", "unknown"),
          usage="license_status", license="status", dimension="license_status"),
    Field("license.source", "string", "Where the license came from. License plane only.", required=True,
          pattern="[a-z0-9][a-z0-9._-]{0,63}", license="source", dimension="license_source"),
    Field("license.key_hash", "string", "SHA-256 of the license key, hex. Only a keyed hash of it is stored, in the "
          "license plane.", pattern="[0-9A-Fa-f]{64}", license="key"),
    Field("server.public_ip", "address", "The server's global address as the module sees it. License plane only, "
          "kept when it differs from the address of the connection.", license="ip_claim"),
    Field("server.os.family", "string", "Operating system family.", required=True,
          choices=("linux", "windows", "bsd", "darwin", "other", "unknown"), usage="os_family", full=True),
    Field("server.os.name", "string", "Operating system or distribution.", pattern=NAME,
          usage="os", dimension="os", full=True),
    Field("server.os.version", "string", "Its version.", pattern=VERSION,
          usage="os_version", dimension="os_version", full=True),
    Field("server.os.arch", "string", "Processor architecture.", pattern=NAME,
          usage="arch", dimension="arch", full=True),
    Field("server.virtualization.type", "string", "What the server runs in, as systemd-detect-virt names it.",
          required=True, choices=VIRTUALIZATION, usage="virtualization", dimension="virtualization", full=True),
    Field("server.virtualization.detection", "string", "How it was detected.", pattern=NAME,
          usage="detection", full=True),
    Field("platform.whmcs", "string", "WHMCS version.", pattern=VERSION, usage="whmcs", dimension="whmcs", full=True),
    Field("platform.php", "string", "PHP version.", pattern=VERSION, usage="php", dimension="php", full=True),
    Field("platform.database", "string", "Database server and version.", pattern=VERSION,
          usage="database", dimension="database", full=True),
    Field("platform.web_server", "string", "Web server and version.", pattern=VERSION,
          usage="web_server", dimension="web_server", full=True),
    Field("platform.sapi", "string", "How PHP is run.", pattern=VERSION, usage="sapi", full=True),
    Field("features", "counts", f"Uses of each feature since the last beacon: at most {MAX_FEATURES} names, "
          f"counts 0 to {MAX_COUNT}.", pattern=FEATURE, usage="features", dimension="feature", full=True),
)  # fmt: skip

# PHP encodes an object without members as an empty array.
EMPTY_ARRAY: dict[str, Any] = {"type": ["object", "array"], "maxItems": 0}

OBJECTS = ("consent", "module", "license", "server", "server.os", "server.virtualization", "platform")
REQUIRED_OBJECTS = frozenset({"module", "license"})

# A dimension that is not a field. The collector looks it up before it drops the address from the usage plane.
COUNTRY = "country"
DIMENSIONS: tuple[str, ...] = (*(f.dimension for f in FIELDS if f.dimension), COUNTRY)


def columns(plane: Literal["usage", "license"]) -> Iterator[tuple[Field, str]]:
    """Yield each field that a plane stores, with its column there."""
    for field in FIELDS:
        if column := getattr(field, plane):
            yield field, column


def example() -> dict[str, Any]:
    """Return a beacon with every field."""
    beacon: dict[str, Any] = {}
    for field in FIELDS:
        *parents, name = field.path.split(".")
        place = beacon
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = field.choices[0] if field.choices else _EXAMPLES[field.path]
    return beacon


_EXAMPLES: dict[str, Any] = {
    "schema": 1,
    "sent_at": "2026-11-22T10:00:00Z",
    "server.public_ip": "203.0.113.9",
    "features": {"invoice.pdf_export": 12, "bulk_email": 1},
    "beacon_id": "0193577e-7e3e-7c1c-9d2f-3a4b5c6d7e8f",
    "install_id": "5f0c1c0e-3b1e-4b7e-8f7a-6d5c4b3a2f1e",
    "consent.policy": "2021-08",
    "module.name": "invoice_pro",
    "module.version": "3.2.1",
    "license.source": "whmcs-addon-modules",
    "license.key_hash": "5e" * 32,
    "server.os.name": "debian",
    "server.os.version": "12",
    "server.os.arch": "x86_64",
    "server.virtualization.detection": "systemd-detect-virt",
    "platform.whmcs": "9.0.1",
    "platform.php": "8.2.12",
    "platform.database": "mariadb-10.11",
    "platform.web_server": "apache-2.4",
    "platform.sapi": "fpm-fcgi",
}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one beacon."""
    root: dict[str, Any] = _object("Pharos beacon")
    objects = {"": root}
    for path in OBJECTS:
        parent, _, name = path.rpartition(".")
        objects[path] = objects[parent]["properties"][name] = _object()
        if path in REQUIRED_OBJECTS:
            objects[parent]["required"].append(name)
    for field in FIELDS:
        parent, _, name = field.path.rpartition(".")
        objects[parent]["properties"][name] = value_schema(field)
        if field.required:
            objects[parent]["required"].append(name)
    for path, described in objects.items():
        if path and not described["required"]:
            described |= EMPTY_ARRAY
    at_license = {
        "properties": {
            "consent": {"type": "object", "properties": {"level": {"const": "license"}}, "required": ["level"]}
        },
        "required": ["consent"],
    }
    absent = {
        "properties": {"platform": False, "features": False,
                       "server": {"properties": {"os": False, "virtualization": False}}}
    }  # fmt: skip
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "if": at_license, "then": absent}


def _object(title: str = "") -> dict[str, Any]:
    return {
        **({"title": title} if title else {}),
        "type": "object",
        "additionalProperties": False,
        "properties": {},
        "required": [],
    }


def value_schema(field: Field) -> dict[str, Any]:
    """Return the JSON Schema of a field's value."""
    described: dict[str, Any] = {"description": field.doc}
    if field.kind == "integer":
        return described | {"type": "integer", "const": 1}
    if field.kind == "counts":
        return described | {
            **EMPTY_ARRAY,
            "maxProperties": MAX_FEATURES,
            "propertyNames": {"pattern": f"^{field.pattern}$"},
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": MAX_COUNT},
        }
    described["type"] = "string"
    if field.kind == "time":
        described |= {"format": "date-time", "pattern": f"^{TIME}$"}
    if field.kind == "uuid":
        described["format"] = "uuid"
    if field.kind == "address":
        described["anyOf"] = [{"pattern": f"^{IPV4}$"}, {"format": "ipv6", "pattern": f"^{IPV6}$"}]
    if field.choices:
        described["enum"] = list(field.choices)
    if field.pattern:
        described["pattern"] = f"^{field.pattern}$"
    return described
