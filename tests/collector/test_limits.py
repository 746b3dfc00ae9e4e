"""Rate limits per key and address across all workers, and the distribution of heartbeats over the day."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from collector.planes import Planes
from tests.collector.live import KEY, Collector
from tests.collector.sample import beacon

LIMIT = 10
PLANES = Planes(b"a root secret")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector with two workers behind a trusted proxy, with 10 beacons per minute and address."""
    home = tmp_path_factory.mktemp("limited") / "home"
    settings = {"PHAROS_INGEST_KEY": KEY, "PHAROS_ADDRESS_RATE_LIMIT": str(LIMIT), "PHAROS_TRUSTED_PROXIES": "1"}
    with Collector(home, **settings) as collector:
        yield collector


def statuses(collector: Collector, *addresses: str) -> list[int]:
    """Send a beacon from each address at once within one minute; return the statuses."""
    if time.time() % 60 > 50:
        time.sleep(60.1 - time.time() % 60)
    with ThreadPoolExecutor(8) as pool:
        posted = pool.map(lambda address: collector.post(beacon(), X_Forwarded_For=address).status, addresses)
    return sorted(posted)


def test_two_workers_share_the_limit_of_an_address(limited: Collector) -> None:
    """Of 30 beacons from one address exactly the limit is stored. Other addresses are not affected."""
    assert statuses(limited, *["198.51.100.1"] * 30) == [202] * LIMIT + [429] * 20
    assert statuses(limited, "198.51.100.2", "198.51.100.3") == [202, 202]


def test_an_ipv6_network_has_one_limit(limited: Collector) -> None:
    """All addresses of an IPv6 /64 network share a limit. The next network has its own."""
    assert statuses(limited, *[f"2001:db8:0:1::{n:x}" for n in range(15)]) == [202] * LIMIT + [429] * 5
    assert statuses(limited, "2001:db8:0:2::1") == [202]


def test_loopback_has_no_limit_of_an_address(limited: Collector) -> None:
    """Loopback has no address limit: local tools, and clients behind a proxy that is not trusted."""
    assert statuses(limited, *["127.0.0.1"] * 15, *["::1"] * 15) == [202] * 30


def test_over_the_limit_says_when_to_come_again(limited: Collector) -> None:
    """A 429 has Retry-After and names the limit."""
    assert statuses(limited, *["198.51.100.9"] * LIMIT) == [202] * LIMIT
    refused = limited.post(beacon(), X_Forwarded_For="198.51.100.9")
    assert refused.why == (429, "rate_limited", "")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert f"{LIMIT} a minute for an address" in refused.json["detail"]


def test_an_address_is_limited_under_a_name_that_does_not_tell_it() -> None:
    """The spool stores a keyed hash of the address."""
    name = PLANES.limited("198.51.100.1")
    assert name == PLANES.limited("198.51.100.1") != PLANES.limited("198.51.100.2")
    assert "198" not in name
    assert name != Planes(b"another").limited("198.51.100.1")


@pytest.mark.parametrize("cron_minutes", [1, 5, 15])
def test_a_midnight_cron_of_a_hundred_thousand_installs_spreads_over_the_day(cron_minutes: int) -> None:
    """All installs send at midnight at first. Later each cron run sends its share of the day.

    A module sends at the first run of its cron after `next_in`. The PHP client waits for nine tenths of it.
    """
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    arrivals: list[Counter[int]] = [Counter(), Counter(), Counter()]
    for number in range(100_000):
        now = midnight
        for day in arrivals:
            due = now + timedelta(seconds=PLANES.next_in(str(UUID(int=number)), now) * 9 // 10)
            runs = -(-(due - midnight).total_seconds() // (60 * cron_minutes))
            now = midnight + timedelta(minutes=runs * cron_minutes)
            day[int(runs) * cron_minutes % 1440] += 1
    for day in arrivals:
        even = 100_000 * cron_minutes / 1440
        assert max(day.values()) < 2 * even + 100
