"""The client's address in X-Forwarded-For, as proxies and load balancers write it."""

import pytest

from core.client_address import address

NAMED = [
    ("203.0.113.9", "203.0.113.9"),
    ("203.0.113.9:51234", "203.0.113.9"),
    ("203.0.113.9:", "203.0.113.9"),
    ('"203.0.113.9:51234"', "203.0.113.9"),
    ("2001:db8::1", "2001:db8::1"),
    ("2001:DB8:0::1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:443", "2001:db8::1"),
    ('"[2001:db8::1]:443"', "2001:db8::1"),
    ("2001:db8::1%eth0", "2001:db8::1"),
    ("[2001:db8::1%25eth0]:443", "2001:db8::1"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
    (" 203.0.113.9 ", "203.0.113.9"),
]


@pytest.mark.parametrize(("hop", "read"), NAMED)
def test_the_address_of_a_hop_is_read(hop: str, read: str) -> None:
    """Ports, brackets, quotes and zones are removed from an address."""
    environ = {"HTTP_X_FORWARDED_FOR": f"192.0.2.1, {hop}", "REMOTE_ADDR": "127.0.0.1"}
    assert address(environ, 1) == read
    assert address(environ, 2) == "192.0.2.1"
    assert address(environ, 0) == "127.0.0.1"


@pytest.mark.parametrize(
    "hop",
    ["", "unknown", "_hidden", "203.0.113.9:x", "203.0.113:80", "[2001:db8::1", "[203.0.113.9]x", "a:80", '"', "[]"],
)
def test_what_is_no_address_is_not_believed(hop: str) -> None:
    """For an invalid entry the address of the proxy that sent it is used."""
    assert address({"HTTP_X_FORWARDED_FOR": hop, "REMOTE_ADDR": "127.0.0.1"}, 1) == "127.0.0.1"


def test_a_unix_socket_has_no_address() -> None:
    """A connection over a Unix socket has no address."""
    assert address({"REMOTE_ADDR": ""}, 0) == ""
