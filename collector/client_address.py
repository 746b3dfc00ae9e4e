"""Whose request it is: the address of the connection, through as many proxies as the operator trusts."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from flask import Request


def address(request: Request, trusted_proxies: int) -> str:
    """The client's address in canonical form, "" where there is none (a Unix socket).

    Each trusted hop vouches for the entry that it appended to `X-Forwarded-For`; what stands left of those was sent by
    the client and is ignored.
    """
    hops = [hop.strip() for hop in request.environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    hops.append(request.environ.get("REMOTE_ADDR", ""))
    known = ""
    for hop in reversed(hops[-1 - trusted_proxies :]):
        try:
            known = canonical(hop)
        except ValueError:
            break
    return known


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The one spelling of an address, IPv4 without its IPv6 mapping. Raises `ValueError`."""
    parsed = ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)
