"""The split into two planes: nothing that joins them, and nothing that names anybody."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings

from collector.planes import Planes, Split, encode
from collector.validate import decode, validate
from core.fields import FIELDS, columns
from tests.collector.sample import Beacon, beacon, value
from tests.collector.strategies import beacons
from warehouse.install_data import TABLES as PLANE_NAMES

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SOURCE = "198.51.100.7"
PLANES = Planes(b"a root secret")


def split(of: Beacon, address: str = SOURCE, now: datetime = NOW) -> Split:
    return PLANES.split(of, address, now)


def time_of(sent_at: str, **how: Any) -> tuple[str, str, bool]:
    """Day, license-plane time, and whether the clock was disbelieved."""
    made = PLANES.split(beacon({"sent_at": sent_at}), SOURCE, NOW, **how)
    return made.usage["day"], made.license["time"], made.clock_skewed


@given(beacons())
@settings(max_examples=50)
def test_no_row_holds_what_identifies(of: Beacon) -> None:
    """`install_id`, `beacon_id` and `key_hash` stand in neither row, in no spelling."""
    of = {**of, "beacon_id": str(uuid.UUID(int=3**80)), "install_id": str(uuid.UUID(int=7**45))}
    of["license"] = {**of["license"], "key_hash": f"{5**110:064x}"}
    made = split(of)
    secrets = [of["beacon_id"], of["install_id"], of["license"]["key_hash"]]
    for row, secret in product((made.usage, made.license), secrets):
        plain = secret.replace("-", "").lower()
        text = encode(row).decode().lower()
        assert secret.lower() not in text
        assert plain not in text
        assert str(int(plain, 16)) not in text
        assert str(int(plain[:16], 16)) not in text


@given(beacons())
@settings(max_examples=50)
def test_no_row_is_joinable_to_the_other(of: Beacon) -> None:
    """The two rows share no pseudonym, no duplicate id, and no number at all that is not 0."""
    made = split(of)

    def numbers(row: dict[str, Any]) -> set[int]:
        return {number for number in row.values() if isinstance(number, int)} - {0}

    assert not numbers(made.usage) & numbers(made.license)
    assert made.seen not in encode(made.usage) + encode(made.license)
    seen = {int.from_bytes(made.seen[:8]), int.from_bytes(made.seen[8:])}
    assert not seen & (numbers(made.usage) | numbers(made.license))


def test_the_usage_row_has_its_columns_and_no_others() -> None:
    """Day, module, platform and features; no exact time, no address, no license source, no key."""
    assert set(split(beacon()).usage) == {
        "install", "beacon", "day", "received", "module", "version", "license_status", "os_family", "os", "os_version",
        "arch", "virtualization", "detection", "whmcs", "php", "database", "web_server", "sapi", "country", "features",
    }  # fmt: skip


def test_the_license_row_has_its_columns_and_no_others() -> None:
    """Time, module, license and address; no operating system, no platform, no features."""
    assert set(split(beacon()).license) == {
        "install", "source_install", "beacon", "time", "module", "version", "status", "source", "key", "received", "ip",
        "ip_claim", "country",
    }  # fmt: skip


def test_no_value_is_in_a_plane_that_must_not_hold_it() -> None:
    """A field's value is found only in the planes that the field table gives it a column in."""
    marks = {f.path: f"mark{n}" for n, f in enumerate(FIELDS) if f.kind == "string" and f.path != "license.key_hash"}
    of = beacon({**marks, "server.public_ip": "192.0.2.77", "features": {"mark_feature": 3}})
    made = split(of)
    for field in FIELDS:
        mark = {**marks, "server.public_ip": "192.0.2.77", "features": "mark_feature"}.get(field.path)
        if mark is not None:
            assert (f'"{mark}"' in encode(made.usage).decode()) is bool(field.usage), field.path
            assert (f'"{mark}"' in encode(made.license).decode()) is bool(field.license), field.path
    assert SOURCE not in encode(made.usage).decode()
    assert made.license["ip"] == SOURCE
    assert "10:00" not in encode(made.usage).decode()


def test_rows_carry_the_columns_of_the_field_table() -> None:
    """Every column that the field table names is in its plane's row, with or without a value."""
    for of in (beacon(), beacon(drop=["server", "platform", "features", "license.key_hash"])):
        made = split(of)
        assert {column for _, column in columns("usage")} <= set(made.usage)
        assert {column for _, column in columns("license")} <= set(made.license)
        assert json.loads(encode(made.usage)) == made.usage


@given(beacons())
@settings(max_examples=100)
def test_what_is_accepted_is_stored_as_sent(of: Beacon) -> None:
    """Each field stands in its column as it was sent, or nothing does; a key and an address are derived."""
    made = split(validate(decode(json.dumps(of).encode())))
    stored = {"usage": json.loads(encode(made.usage)), "license": json.loads(encode(made.license))}
    for plane in PLANE_NAMES:
        for field, column in columns(plane):
            sent = sent_at_path(of, field.path)
            if field.path == "license.key_hash":
                assert (stored[plane][column] != 0) is (sent is not None)
            elif field.path == "server.public_ip":
                assert stored[plane][column] == (str(ip_address(sent)) if sent else "")
            else:
                assert stored[plane][column] == (({} if field.kind == "counts" else "") if sent is None else sent)


def sent_at_path(of: Beacon, path: str) -> Any:
    """What a beacon holds at `path`, None for nothing."""
    try:
        return value(of, path)
    except KeyError:
        return None


def test_a_uuid_counts_the_same_in_either_case() -> None:
    """An install that writes its ids in capitals is the same install, and its resent beacon a duplicate."""
    of = beacon()
    capitals = {**of, "install_id": of["install_id"].upper(), "beacon_id": of["beacon_id"].upper()}
    capitals["license"] = {**of["license"], "key_hash": of["license"]["key_hash"].upper()}
    assert split(capitals) == split(of)
    assert PLANES.next_in(of["install_id"].upper(), NOW) == PLANES.next_in(of["install_id"], NOW)


def test_pseudonyms_last_and_differ_by_install() -> None:
    """One install has one pseudonym in each plane whatever it sends; two installs have two."""
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    first, second = split(beacon({"install_id": one})), split(beacon({"install_id": one}, drop=["features"]))
    third = split(beacon({"install_id": other}))
    assert first.usage["install"] == second.usage["install"] != third.usage["install"]
    assert first.license["install"] == second.license["install"] != third.license["install"]
    assert len({first.seen, second.seen, third.seen}) == 3


def test_a_resent_beacon_is_known_again() -> None:
    """The duplicate ids follow `beacon_id` alone, so a retry is one even when its content changed."""
    of = beacon()
    again = split({**of, "reason": "upgrade", "features": {}}, address="", now=NOW + timedelta(days=3))
    first = split(of)
    ids = (first.seen, first.usage["beacon"], first.license["beacon"])
    assert ids == (again.seen, again.usage["beacon"], again.license["beacon"])


def test_another_root_secret_gives_other_pseudonyms() -> None:
    """Nothing keyed is the same under two root secrets."""
    of = beacon()
    one, other = split(of), Planes(b"another root secret").split(of, SOURCE, NOW)
    assert one.seen != other.seen
    assert all(one.usage[name] != other.usage[name] for name in ("install", "beacon"))
    assert all(one.license[name] != other.license[name] for name in ("install", "beacon", "key"))


def test_a_license_key_has_one_pseudonym_for_all_installs() -> None:
    """The same key on two installs is seen as the same, and no key at all as 0."""
    one, two = split(beacon()), split(beacon())
    assert one.license["key"] == two.license["key"] != 0
    assert split(beacon(drop=["license.key_hash"])).license["key"] == 0


@pytest.mark.parametrize(
    ("claim", "kept"),
    [("192.0.2.77", "192.0.2.77"), (SOURCE, ""), (None, "")],
)
def test_a_claimed_address_is_kept_only_where_it_differs(claim: str | None, kept: str) -> None:
    """The connection's address is the one recorded; another claim is evidence beside it."""
    of = beacon({"server.public_ip": claim}) if claim else beacon(drop=["server.public_ip"])
    row = split(of).license
    assert (row["ip"], row["ip_claim"]) == (SOURCE, kept)


@pytest.mark.parametrize("claim", ["2001:db8::1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "2001:0db8::0001"])
def test_one_address_in_another_spelling_is_no_other_claim(claim: str) -> None:
    """IPv6 has many spellings of one address: a claim of the connection's own is no evidence."""
    assert split(beacon({"server.public_ip": claim}), address="2001:db8::1").license["ip_claim"] == ""


def test_the_country_comes_from_the_connection_or_else_from_the_claim() -> None:
    """Both rows carry the country of the connection's address, an import that of the claim."""
    planes = Planes(b"a root secret", lambda address: {SOURCE: "NL", "203.0.113.9": "DE"}.get(address, ""))
    posted, imported = planes.split(beacon(), SOURCE, NOW), planes.split(beacon(), "", NOW)
    assert (posted.usage["country"], posted.license["country"]) == ("NL", "NL")
    assert (imported.usage["country"], imported.license["country"]) == ("DE", "DE")


@pytest.mark.parametrize(
    ("sent_at", "day", "time"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22", "2026-11-22 10:00:00.000"),
        ("2026-11-15T10:00:00Z", "2026-11-15", "2026-11-15 10:00:00.000"),
        ("2026-11-22T10:10:00Z", "2026-11-22", "2026-11-22 10:10:00.000"),
        ("2026-11-22T00:30:00+05:30", "2026-11-21", "2026-11-21 19:00:00.000"),
        ("2026-11-21T23:30:00-02:00", "2026-11-22", "2026-11-22 01:30:00.000"),
        ("2026-11-21T23:59:59.999Z", "2026-11-21", "2026-11-21 23:59:59.999"),
        ("2026-11-21T23:59:59.999999Z", "2026-11-21", "2026-11-21 23:59:59.999"),
        ("2026-11-20T08:00:00.5Z", "2026-11-20", "2026-11-20 08:00:00.500"),
    ],
)
def test_a_believable_date_is_the_beacons_day(sent_at: str, day: str, time: str) -> None:
    """From 7 days ago to 10 minutes ahead, both included, the UTC date of `sent_at` is the beacon's day."""
    assert time_of(sent_at) == (day, time, False)


@pytest.mark.parametrize(
    "sent_at",
    [
        "2026-11-15T09:59:59.999Z", "2026-11-22T10:10:00.001Z", "2026-11-15T10:00:00+00:01", "2001-01-01T00:00:00Z",
        "2038-01-19T03:14:08Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
    ],
)  # fmt: skip
def test_an_unbelievable_date_counts_on_the_day_of_receipt(sent_at: str) -> None:
    """Outside of that the beacon counts as received, and as one whose clock is wrong."""
    assert time_of(sent_at) == ("2026-11-22", "2026-11-22 10:00:00.000", True)


@pytest.mark.parametrize("sent_at", ["2019-03-31T12:00:00Z", "2026-11-15T09:59:59Z", "2031-01-01T00:00:00Z"])
def test_an_import_keeps_any_date(sent_at: str) -> None:
    """A back-filled beacon keeps its date however old."""
    assert time_of(sent_at, keep_date=True) == (sent_at[:10], f"{sent_at[:10]} {sent_at[11:19]}.000", False)


@pytest.mark.parametrize(
    ("sent_at", "now", "received"),
    [
        ("2026-11-22T00:00:00Z", NOW, 1),
        ("2026-11-22T10:10:00Z", NOW, 1),
        ("2026-11-21T23:59:59Z", NOW, 0),
        ("2026-11-16T10:00:00Z", NOW, 0),
        ("2025-11-16T10:00:00Z", NOW, 1),  # not believed: it has the time of receipt
        ("2026-11-21T23:55:00Z", NOW.replace(hour=0, minute=4), 1),
        ("2026-11-22T00:01:00Z", NOW.replace(day=21, hour=23, minute=55), 0),
    ],
)
def test_a_license_row_says_whether_it_was_received_on_the_day_that_it_states(
    sent_at: str, now: datetime, received: int
) -> None:
    """What arrives later is a claim: the collector did not see it on that day. So is an import."""
    made = PLANES.split(beacon({"sent_at": sent_at}), SOURCE, now)
    assert made.license["received"] == received
    assert PLANES.split(beacon({"sent_at": sent_at}), "", now, keep_date=True).license["received"] == 0


def test_the_next_heartbeat_is_half_a_day_to_a_day_and_a_half_ahead() -> None:
    """`next_in` is within 12 to 36 hours at any time of day, and leads an install to the same time each day."""
    for hour in range(24):
        now = NOW.replace(hour=hour, minute=59, second=59, microsecond=999_999)
        for number in range(50):
            install = str(uuid.UUID(int=number))
            ahead = PLANES.next_in(install, now)
            assert 12 * 3600 <= ahead <= 36 * 3600
            again = PLANES.next_in(install, now + timedelta(seconds=ahead))
            assert again in range(86_399, 86_401)


def test_a_fleet_that_comes_at_midnight_spreads_over_the_day() -> None:
    """2,000 installs whose cron jobs all run at midnight come back over 24 hours, none with twice its share."""
    midnight = NOW.replace(hour=0)
    hours = Counter(PLANES.next_in(str(uuid.UUID(int=number)), midnight) // 3600 for number in range(2000))
    assert set(hours) == set(range(12, 36))
    assert max(hours.values()) < 2 * 2000 / 24
