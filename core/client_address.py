"""The client's address: the address of the connection, behind as many proxies as the operator trusts."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any

# An entry that a proxy appends: `203.0.113.9`, `203.0.113.9:51234`, `2001:db8::1`, `[2001:db8::1]`,
# `[2001:db8::1]:443`. Each may be in quotes, and an IPv6 address may have a zone (`%eth0`).
_HOP = re.compile(r'"?(?:\[(?P<bracketed>[^\]]*)\](?::\d*)?|(?P<ipv4>[\d.]+)(?::\d*)?|(?P<plain>[^"\[\]]*))"?')


def address(environ: Mapping[str, Any], trusted_proxies: int) -> str:
    """Return the client's address in canonical form, "" if none (a Unix socket). `environ` is the WSGI environment.

    Only the entries of `X-Forwarded-For` that trusted proxies appended count. Entries to their left come from the
    client and are ignored. Several such headers form one list.
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
    """Return the address of an entry, without port, quotes and zone. Raises `ValueError`."""
    found = _HOP.fullmatch(hop)
    if found is None:
        raise ValueError("no address")
    text, _, _ = (found["bracketed"] or found["ipv4"] or found["plain"] or "").partition("%")
    return canonical(text)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """Return the canonical form of an address, IPv4 without its IPv6 mapping. Raises `ValueError`."""
    parsed = ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def through_proxies(wsgi_app: Any, trusted_proxies: int) -> Any:
    """Wrap `wsgi_app` so that `REMOTE_ADDR` is the client's address."""

    def wrapped(environ: Any, start_response: Any) -> Any:
        return wsgi_app({**environ, "REMOTE_ADDR": address(environ, trusted_proxies)}, start_response)

    return wrapped
