"""Versions: their order and their series, for the texts that servers report."""

import random

import pytest

from core import versions


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("8.2.12", "8.2"),
        ("8.2", "8.2"),
        ("8", "8"),
        ("7.4.33", "7.4"),
        ("8.2.12-1ubuntu4.3", "8.2"),
        ("8.3.6-1+ubuntu24.04.1+deb.sury.org+1", "8.3"),
        ("8.1.2-1ubuntu2.19", "8.1"),
        ("8.2.28-1~deb12u1", "8.2"),
        ("7.2.24-0ubuntu0.18.04.17", "7.2"),
        ("5.4.16-48.el7", "5.4"),
        ("8.4.0RC3", "8.4"),
        ("8.4.0-dev", "8.4"),
        ("8.10.1-release.1", "8.10"),
        ("8.13.0-beta.2", "8.13"),
        ("9.0.1", "9.0"),
        ("v3.2.1", "3.2"),
        ("3.2.1+build.77", "3.2"),
        ("2024.06.1", "2024.06"),
        ("unknown", "unknown"),
        ("x86", "x86"),
        ("", ""),
    ],
)
def test_a_version_belongs_to_the_series_of_its_first_two_numbers(text: str, series: str) -> None:
    """Builds, prereleases and dev builds belong to the series of their release."""
    assert versions.series(text) == series


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("mariadb-10.11", "mariadb-10.11"),
        ("MariaDB-10.11.6", "mariadb-10.11"),
        ("5.5.5-10.6.12-MariaDB-log", "mariadb-10.6"),
        ("5.5.5-10.11.6-MariaDB-0+deb12u1", "mariadb-10.11"),
        ("10.6.12-MariaDB-cll-lve", "mariadb-10.6"),
        ("11.4.2-MariaDB-ubu2404", "mariadb-11.4"),
        ("mariadb-5.5.5-10.4.8", "mariadb-10.4"),
        ("mariadb-5.5.68", "mariadb-5.5"),
        ("mysql-8.0.36", "mysql-8.0"),
        ("8.0.36-0ubuntu0.22.04.1", "mysql-8.0"),
        ("5.7.44-log", "mysql-5.7"),
        ("10.3.39", "mariadb-10.3"),
        ("percona-8.0.35-27", "percona-8.0"),
        ("mysql", "mysql"),
        ("", ""),
    ],
)
def test_a_database_series_names_the_product(text: str, series: str) -> None:
    """MariaDB is recognized behind the version number that it pretends to have."""
    assert versions.database_series(text) == series


@pytest.mark.parametrize(
    ("text", "series"),
    [
        ("LiteSpeed/6.1", "litespeed-6.1"),
        ("litespeed-6.1.2", "litespeed-6.1"),
        ("LiteSpeed", "litespeed"),
        ("apache-2.4", "apache-2.4"),
        ("Apache/2.4.57 (Debian)", "apache-2.4"),
        ("Apache", "apache"),
        ("nginx-1.24.0", "nginx-1.24"),
        ("openlitespeed-1.7.19", "openlitespeed-1.7"),
        ("Microsoft-IIS/10.0", "iis-10.0"),
        ("2.4.57", "2.4.57"),
        ("", ""),
    ],
)
def test_a_web_server_series_ignores_case_and_separator(text: str, series: str) -> None:
    """Case and separator do not change the series of a web server."""
    assert versions.web_server_series(text) == series


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("debian 12", "debian 12"),
        ("debian 12.5", "debian 12"),
        ("ubuntu 22.04", "ubuntu 22.04"),
        ("ubuntu 24.04.1", "ubuntu 24.04"),
        ("almalinux 9.4", "almalinux 9"),
        ("AlmaLinux 9.4", "almalinux 9"),
        ("centos 7.9.2009", "centos 7"),
        ("alpine 3.20.1", "alpine 3.20"),
        ("arch ", "arch"),
        (" 12", ""),
        (" ", ""),
    ],
)
def test_an_os_release_is_what_the_system_calls_a_release(text: str, release: str) -> None:
    """A release has one number for Debian and the RHEL family, and two for Ubuntu and others."""
    assert versions.os_release(text) == release


def test_versions_sort_as_versions() -> None:
    """8.9 is before 8.10, and prereleases are before their release."""
    ordered = [
        "5.6.40", "7.4.33", "8.0", "8.9.9", "8.10.0-dev", "8.10.0-alpha.1", "8.10.0-beta.2", "8.10.0-beta.10",
        "8.10.0~rc1-1", "8.10.0RC2", "8.10.0-release.1", "8.10.1", "8.10.1.1", "8.11", "10.0",
    ]  # fmt: skip
    shuffled = random.Random(1).sample(ordered, len(ordered))
    assert sorted(shuffled, key=_order) == ordered


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8.2", "8.2.0"),
        ("8.2.12", "8.2.12-1ubuntu4.3"),
        ("8.2.12+dev", "8.2.12"),
        ("3.2.1+build.1", "3.2.1+build.2"),
        ("8.10.1", "8.10.1-release.1"),
        ("1.0.2b", "1.0.2"),
    ],
)
def test_a_build_is_no_other_version(one: str, other: str) -> None:
    """The suffix of a distribution or build does not change the order."""
    assert _order(one) == _order(other)


@pytest.mark.parametrize("text", ["8.4.0RC3", "8.4.0-dev", "8.4.0~beta1-2", "3.0.0a1", "3.0-nightly.20260101"])
def test_a_prerelease_is_marked(text: str) -> None:
    """A prerelease has the numbers of its release and is marked."""
    version = versions.read(text)
    assert version is not None
    assert version.prerelease


@pytest.mark.parametrize("text", ["8.10.1-release.1", "8.2.12-1ubuntu4.3", "3.2.1+dev.5", "5.7.44-log"])
def test_a_release_is_no_prerelease(text: str) -> None:
    """Any other suffix is a build and no prerelease."""
    version = versions.read(text)
    assert version is not None
    assert not version.prerelease
    assert version.build


def test_every_text_that_the_wire_allows_has_a_series() -> None:
    """No text that a beacon may contain raises an error, and a series is its own series."""
    rng = random.Random(2)
    letters = "0189azAZ.+~_-"
    for _ in range(20_000):
        text = rng.choice("019aZ") + "".join(rng.choices(letters, k=rng.randrange(32)))
        for series in (versions.series, versions.database_series, versions.web_server_series):
            assert series(series(text)) == series(text), text
        release = versions.os_release(f"debian {text}")
        assert versions.os_release(release) == release


def _order(text: str) -> tuple[str, tuple[int, ...], int, int]:
    version = versions.read(text)
    assert version is not None
    return version.order
