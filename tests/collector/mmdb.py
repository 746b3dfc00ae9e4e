"""A small MMDB file for tests: networks and their records, in MaxMind DB format 2.0 with 24-bit records."""

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

MADE = datetime(2026, 11, 1, tzinfo=UTC)


def mmdb(networks: Mapping[str, Any], version: int = 6) -> bytes:
    """Return the bytes of the file. In an IPv6 tree, IPv4 addresses are below ::/96."""
    tree: list[list[int | None]] = [[None, None]]
    data = b""
    found: dict[tuple[int, int], int] = {}
    for text, record in networks.items():
        network = ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if version == 6 and network.version == 4:
            bits = "0" * 96 + bits
        node = 0
        for bit in bits[:-1]:
            below = tree[node][int(bit)]
            if below is None:
                tree.append([None, None])
                tree[node][int(bit)] = below = len(tree) - 1
            node = below
        found[node, int(bits[-1])] = len(data)
        data += _encoded(record)
    nodes = b""
    for index, pair in enumerate(tree):
        for side, below in enumerate(pair):
            offset = found.get((index, side))
            value = len(tree) if below is None else below
            nodes += (value if offset is None else len(tree) + 16 + offset).to_bytes(3)
    metadata = {
        "binary_format_major_version": (5, 2), "binary_format_minor_version": (5, 0), "build_epoch": (9, MADE),
        "database_type": "Country", "description": {}, "ip_version": (5, version), "languages": [],
        "node_count": (6, len(tree)), "record_size": (5, 24),
    }  # fmt: skip
    return nodes + bytes(16) + data + b"\xab\xcd\xefMaxMind.com" + _encoded(metadata)


def _encoded(value: Any) -> bytes:
    """Encode a value. Numbers are `(type, number)`: types 5, 6 and 9 are unsigned with 16, 32 and 64 bits."""
    if isinstance(value, str):
        return _head(2, len(value)) + value.encode()
    if isinstance(value, dict):
        return _head(7, len(value)) + b"".join(_encoded(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(_encoded, value))
    kind, number = value
    number = int(number.timestamp()) if isinstance(number, datetime) else number
    raw = number.to_bytes(4).lstrip(b"\0")
    return _head(kind, len(raw)) + raw


def _head(kind: int, size: int) -> bytes:
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
