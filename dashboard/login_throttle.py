"""Limits password guesses. Pure except for its clock. Counts are in memory, because the dashboard is one process."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

MOST_FAILURES = 10
MOST_FAILURES_OF_ACCOUNT = 50
WINDOW_SECONDS = 900.0
MOST_KEPT = 10_000

Failures = deque[tuple[float, str]]


class Throttle:
    """Counts failures over a sliding window, by address (IPv6: by /64 network) and by account.

    Each attempt counts as a failure when it starts, so that simultaneous attempts cannot exceed the limit. A success
    removes only the failures of the same account from the same address. So a user cannot use their own login to clear
    guesses at another account.

    The limit of an account stops guesses from many addresses. It does not apply to an address from which the account
    has logged in before. Otherwise an attacker could lock the user out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._addresses: dict[str, Failures] = {}
        self._accounts: dict[str, Failures] = {}
        self._known: dict[tuple[str, str], None] = {}

    def attempt(self, address: str, account: str) -> int:
        """Record an attempt and return 0, or return the number of seconds until the next attempt is allowed."""
        where = network(address)
        with self._lock:
            now = self._clock()
            wait = self._wait(self._addresses.get(where), now)
            if (account, where) not in self._known:
                wait = max(wait, self._wait(self._accounts.get(account), now))
            if not wait:
                _note(self._addresses, where, MOST_FAILURES, (now, account))
                _note(self._accounts, account, MOST_FAILURES_OF_ACCOUNT, (now, where))
            return wait

    def passed(self, address: str, account: str) -> None:
        """Remove the failures of this account from this address, after a successful login."""
        where = network(address)
        with self._lock:
            _forget(self._addresses, where, account)
            _forget(self._accounts, account, where)
            self._known.pop((account, where), None)
            self._known[account, where] = None
            if len(self._known) > MOST_KEPT:
                del self._known[next(iter(self._known))]

    @staticmethod
    def _wait(failures: Failures | None, now: float) -> int:
        if failures is None or len(failures) < (failures.maxlen or 0):
            return 0
        return max(0, math.ceil(failures[0][0] + WINDOW_SECONDS - now))


def network(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 network of an IPv6 address (one customer)."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))


def _note(kept: dict[str, Failures], key: str, most: int, failure: tuple[float, str]) -> None:
    """Add a failure. If there are too many keys, drop the one whose last failure is the oldest."""
    failures = kept.pop(key, deque(maxlen=most))
    failures.append(failure)
    kept[key] = failures
    if len(kept) > MOST_KEPT:
        del kept[next(iter(kept))]


def _forget(kept: dict[str, Failures], key: str, of: str) -> None:
    """Drop the failures of `key` that belong to `of`."""
    if (failures := kept.pop(key, None)) is None:
        return
    left = [failure for failure in failures if failure[1] != of]
    if left:
        kept[key] = deque(left, maxlen=failures.maxlen)
