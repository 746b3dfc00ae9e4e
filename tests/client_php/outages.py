"""The ways in which a collector can be away."""

import contextlib
import socket
from collections.abc import Iterator

from tests.client_php.paper import Collector, Host

SLOW = ("blackholed", "dripping")  # they hold a client for as long as it lets them
OUTAGES = ("refused", *SLOW, "junk", "500", "redirect")


def closed_port() -> str:
    """Return the address of a port that refuses connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@contextlib.contextmanager
def blackhole() -> Iterator[str]:
    """Give the address of a port whose connections are never made: the kernel drops what would be one too many."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@contextlib.contextmanager
def away(host: Host, collector: Collector, outage: str) -> Iterator[None]:
    """Let the host's collector be away in one of the ways; it is back when the block ends."""
    url = host.url
    with contextlib.ExitStack() as stack:
        if outage == "refused":
            host.url = closed_port()
        elif outage == "blackholed":
            host.url = stack.enter_context(blackhole())
        elif outage == "dripping":
            collector.drip = True
        else:
            collector.always = {
                "500": (500, "oops", {}),
                "junk": (202, "<html>", {}),
                "redirect": (302, "", {"Location": f"{url}/elsewhere"}),
                "lost": (504, "the proxy lost the answer", {}),
            }[outage]
        yield
    host.url, collector.drip, collector.always = url, False, None
