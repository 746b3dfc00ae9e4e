"""The vendor of the demonstration: releases that take hold and one that fails, a feature that fades, countries."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.catalog import read
from core.license_keys import key_hash
from pharos.synthetic_fleet import beacons
from pharos.synthetic_licenses import HOLDERS, LEAKED, REVOKED, Licenses
from pharos.synthetic_vendor import (
    COUNTRIES,
    DECLARED_ONLY,
    FEATURES,
    MODULES,
    RELEASES,
    VENDOR,
    VERSIONS,
    catalog,
    country,
)
from tests.fleet.wire import Beacon, misfit

END = date(2026, 11, 22)
DAYS = 90


@pytest.fixture(scope="module")
def fleet() -> list[Beacon]:
    return list(beacons(1, 600, DAYS, END, world=VENDOR))


def age(beacon: Beacon) -> int:
    return (END - datetime.fromisoformat(beacon["sent_at"]).astimezone(UTC).date()).days


def share(fleet: list[Beacon], version: str, newest: int, oldest: int) -> float:
    """Return the share of a version among the beacons of invoice_pro of these ages in days."""
    sent = [one["module"]["version"] for one in fleet
            if one["module"]["name"] == "invoice_pro" and newest <= age(one) <= oldest]  # fmt: skip
    return sent.count(version) / len(sent)


def test_every_beacon_fits_the_contract(fleet: list[Beacon]) -> None:
    """All modules send, and no beacon breaks a rule."""
    assert {misfit(beacon) for beacon in fleet} == {None}
    assert {beacon["module"]["name"] for beacon in fleet} == set(MODULES)
    assert len(MODULES) == 12


def test_a_key_leaked_and_one_was_revoked(fleet: list[Beacon]) -> None:
    """Installs use both to the end, the registry has each key once, and no beacon breaks a rule."""
    licenses = Licenses()
    sent = [licenses.applied(beacon) for beacon in fleet]
    assert {misfit(beacon) for beacon in sent} == {None}
    users: dict[str, set[str]] = defaultdict(set)
    for beacon in sent:
        if hashed := beacon["license"].get("key_hash"):
            users[hashed].add(beacon["install_id"])
    assert (len(users[key_hash(LEAKED)]), len(users[key_hash(REVOKED)])) == (HOLDERS, 1)
    rows = list(licenses.registry())
    assert len({(row["module"], row["key_hash"]) for row in rows}) == len(rows)
    assert [row["module"] for row in rows if row["state"] == "revoked"] == ["domain_tools"]
    assert [row["state"] for row in rows if row["key_hash"] == key_hash(LEAKED)] == ["active"]


def test_releases_come_out_on_their_days(fleet: list[Beacon]) -> None:
    """No install runs a version before its release."""
    first: dict[tuple[str, str], int] = defaultdict(int)
    for beacon in fleet:
        key = beacon["module"]["name"], beacon["module"]["version"]
        first[key] = max(first[key], age(beacon))
    for module, releases in RELEASES.items():
        for version, release in releases.items():
            assert first[module, version] <= release.before, (module, version)


def test_one_release_takes_hold_and_the_next_one_fails(fleet: list[Beacon]) -> None:
    """3.3.1 is on most installs after four weeks, 4.0.0 on few after three."""
    assert share(fleet, "3.3.1", 20, 26) > 0.5
    assert 0.01 < share(fleet, "4.0.0", 0, 4) < 0.25


def test_a_feature_fades(fleet: list[Beacon]) -> None:
    """Fewer of the same installs use it at the end."""
    users: dict[bool, set[str]] = {True: set(), False: set()}
    for beacon in fleet:
        if beacon.get("features", {}).get("invoice.fax_copy") and not 21 < age(beacon) < 69:
            users[age(beacon) <= 21].add(beacon["install_id"])
    assert len(users[True]) < 0.7 * len(users[False])


def test_versions_are_scattered(fleet: list[Beacon]) -> None:
    """There are many patch versions of PHP and of WHMCS."""
    php = Counter(beacon["platform"]["php"] for beacon in fleet if "platform" in beacon)
    assert len(php) > 15
    assert len({version.rpartition(".")[0] for version in php}) >= 6


def test_an_address_has_always_the_same_country() -> None:
    """Countries follow their weights, and no address has none."""
    found = Counter(country(f"192.0.2.{number}") for number in range(256))
    assert found.keys() <= COUNTRIES.keys()
    assert found.most_common(1)[0][0] == "US"
    assert country("192.0.2.7") == country("192.0.2.7")
    assert country("") == ""


def test_the_catalog_of_the_demonstration_is_valid(tmp_path: Path) -> None:
    """It has the release days of its modules, and one feature that nobody uses."""
    path = tmp_path / "catalog.toml"
    path.write_text(catalog(END))
    found = read(path)
    assert found.mode == "open"
    for module, releases in RELEASES.items():
        assert found.entries["module", module].releases.keys() == releases.keys() <= VERSIONS[module].keys()
    declared = {(entry.module, name) for (kind, name), entry in found.entries.items() if kind == "feature"}
    used = {(module, feature) for module, features in FEATURES.items() for feature in features}
    assert declared - used == {DECLARED_ONLY}
