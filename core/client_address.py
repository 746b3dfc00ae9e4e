"""Whose request it is: the address of the connection, through as many proxies as the operator trusts."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

# What proxies append for a hop: `203.0.113.9`, `203.0.113.9:51234`, `2001:db8::1`, `[2001:db8::1]`,
# `[2001:db8::1]:443`, each perhaps in quotes, and an IPv6 address perhaps with its zone (`%eth0`).
_HOP = re.compile(r'"?(?:\[(?P<bracketed>[^\]]*)\](?::\d*)?|(?P<ipv4>[\d.]+)(?::\d*)?|(?P<plain>[^"\[\]]*))"?')


def address(environ: Mapping[str, Any], trusted_proxies: int) -> str:
    """The client's address in canonical form, "" where there is none (a Unix socket). `environ` is that of WSGI.

    Each trusted hop vouches for the entry that it appended to `X-Forwarded-For`; what stands left of those was sent by
    the client and is ignored. Several such headers are one list.
    """
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    hops.append(environ.get("REMOTE_ADDR", ""))
    known = ""
    for hop in reversed(hops[-1 - trusted_proxies :]):
        try:
            known = _of_hop(hop.strip())
        except ValueError:
            break
    return known


@lru_cache(maxsize=4096)
def _of_hop(hop: str) -> str:
    """The address of an entry, without port, quotes and zone. Raises `ValueError`."""
    found = _HOP.fullmatch(hop)
    if found is None:
        raise ValueError("no address")
    text, _, _ = (found["bracketed"] or found["ipv4"] or found["plain"] or "").partition("%")
    return canonical(text)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The one spelling of an address, IPv4 without its IPv6 mapping. Raises `ValueError`."""
    parsed = ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def through_proxies(wsgi_app: Any, trusted_proxies: int) -> Any:
    """`wsgi_app` with the client's address as `REMOTE_ADDR`."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        return wsgi_app({**environ, "REMOTE_ADDR": address(environ, trusted_proxies)}, start_response)

    return wrapped
