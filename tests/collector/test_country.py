"""Country lookup: from an MMDB file, from Debian's lists, from neither, and after the data is replaced."""

import os
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.country import CHECK_SECONDS, Countries, CountryError, lookup
from collector.planes import Planes, encode
from core.settings import SettingError, Settings
from tests.collector.mmdb import MADE, mmdb
from tests.collector.sample import beacon

NETWORKS = {
    "198.51.100.0/25": {"country": {"iso_code": "NL", "names": {"en": "Netherlands"}}},
    "198.51.100.128/25": {"country": {"iso_code": "DE"}},
    "2001:db8:1::/48": {"country": {"iso_code": "FR"}},
}
# The same as Debian's tor-geoipdb has it.
GEOIP = "# a comment\n#\n3325256704,3325256831,NL\n3325256832,3325256959,DE\n3405803776,3405804031,??\n"
GEOIP6 = "# a comment\n2001:db8:1::,2001:db8:1:ffff:ffff:ffff:ffff:ffff,FR\n"


def an_mmdb(path: Path) -> Path:
    file = path / "countries.mmdb"
    file.write_bytes(mmdb(NETWORKS))
    return file


def debians_lists(path: Path) -> Path:
    folder = path / "tor"
    folder.mkdir()
    (folder / "geoip").write_text(GEOIP)
    (folder / "geoip6").write_text(GEOIP6)
    return folder


Make = Callable[[Path], Path]
KINDS = pytest.mark.parametrize("make", [an_mmdb, debians_lists])


@KINDS
@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("198.51.100.0", "NL"),
        ("198.51.100.127", "NL"),
        ("198.51.100.128", "DE"),
        ("198.51.100.255", "DE"),
        ("::ffff:198.51.100.7", "NL"),
        ("2001:db8:1::", "FR"),
        ("2001:DB8:1:0::7", "FR"),
        ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", "FR"),
        ("2001:db8:2::", ""),
        ("2001:db8::", ""),
        ("198.51.99.255", ""),
        ("198.51.101.0", ""),
        ("203.0.113.9", ""),
        ("0.0.0.0", ""),
        ("255.255.255.255", ""),
        ("::", ""),
        ("", ""),
        ("no address", ""),
    ],
)
def test_an_address_has_the_country_of_its_network(tmp_path: Path, make: Make, address: str, code: str) -> None:
    """The first and last address of a network are in it, also as a mapped IPv4 address. Others have no country."""
    assert Countries(make(tmp_path))(address) == code


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"country": {"iso_code": "NL"}, "registered_country": {"iso_code": "US"}}, "NL"),
        ({"country_code": "NL", "country": "Netherlands"}, "NL"),
        ({"country": "NL"}, "NL"),
        ({"registered_country": {"iso_code": "US"}}, ""),
        ({"country": "Netherlands"}, ""),
        ({"country": {"iso_code": "nl\n"}}, ""),
        ({"country": {"iso_code": "A1"}}, ""),
        ({"country": {"iso_code": (5, 31)}}, ""),
        ({"country": {}}, ""),
        ({}, ""),
        ("NL", ""),
    ],
)
def test_a_record_is_read_as_its_makers_write_it(tmp_path: Path, record: object, code: str) -> None:
    """Two capital letters are a country. Anything else in a record is not."""
    (tmp_path / "one.mmdb").write_bytes(mmdb({"198.51.100.0/24": record}))
    assert Countries(tmp_path / "one.mmdb")("198.51.100.7") == code


def test_a_file_of_ipv4_alone_knows_no_ipv6(tmp_path: Path) -> None:
    """With an IPv4-only file an IPv6 address has no country, and the lookup does not fail."""
    (tmp_path / "four.mmdb").write_bytes(mmdb({"198.51.100.0/24": {"country": "NL"}}, version=4))
    countries = Countries(tmp_path / "four.mmdb")
    assert [countries(address) for address in ("198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1")] == [
        "NL",
        "NL",
        "",
    ]


def test_data_know_their_age(tmp_path: Path) -> None:
    """The age of an MMDB file is in the file. The age of the lists is the date of the newer one."""
    assert Countries(an_mmdb(tmp_path)).made == MADE
    lists = debians_lists(tmp_path)
    os.utime(lists / "geoip", (0, 1_000_000))
    os.utime(lists / "geoip6", (0, 2_000_000))
    assert Countries(lists).made == datetime.fromtimestamp(2_000_000, UTC)


def test_without_a_database_there_is_no_country() -> None:
    """Without a database the country is empty, and no package is imported."""
    assert lookup(Settings())("198.51.100.7") == ""


def test_the_package_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MMDB file needs the package maxminddb; the message names it. Debian's lists do not need it."""
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(SettingError, match=r"^PHAROS_COUNTRY_DATABASE needs the package maxminddb.*pharos\[geo\]"):
        lookup(Settings(country_database=str(an_mmdb(tmp_path))))
    assert lookup(Settings(country_database=str(debians_lists(tmp_path))))("198.51.100.7") == "NL"


WHOLE = mmdb(NETWORKS)


@pytest.mark.parametrize("broken", [b"", b"not an MMDB file", WHOLE[:-9], WHOLE[len(WHOLE) // 2 :], bytes(4096)])
def test_what_is_no_mmdb_is_named(tmp_path: Path, broken: bytes) -> None:
    """Empty, foreign and truncated files are rejected, and the message names the file."""
    (tmp_path / "broken.mmdb").write_bytes(broken)
    with pytest.raises(SettingError, match=r"^PHAROS_COUNTRY_DATABASE is not a readable MMDB file$"):
        lookup(Settings(country_database=str(tmp_path / "broken.mmdb")))


def test_a_file_that_is_broken_inside_loses_no_beacon(tmp_path: Path) -> None:
    """Whatever bytes the data section contains, a lookup returns a country or nothing and never fails."""
    start = WHOLE.index(b"country") - 2
    end = WHOLE.index(b"\xab\xcd\xefMaxMind.com")
    for place in range(start, end):
        for byte in (0x00, 0x3F, 0xFF):
            (tmp_path / "inside.mmdb").write_bytes(WHOLE[:place] + bytes([byte]) + WHOLE[place + 1 :])
            countries = Countries(tmp_path / "inside.mmdb")
            assert all(
                len(countries(address)) in (0, 2) for address in ("198.51.100.7", "198.51.100.200", "2001:db8:1::")
            )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("geoip", "3325256704,3325256831\n", "holds a line in geoip that is not a sorted range"),
        ("geoip", "198.51.100.0,198.51.100.127,NL\n", "holds a line in geoip"),
        ("geoip", "5000000000,5000000001,NL\n", "holds a line in geoip"),
        ("geoip", "3325256704,3325256831,Netherlands\n", "holds a line in geoip"),
        ("geoip", "20,10,NL\n", "holds a line in geoip"),
        ("geoip", "10,20,NL\n15,30,DE\n", "holds a line in geoip"),
        ("geoip", "10,20,ÑL\n", "holds a line in geoip"),
        ("geoip", "# nothing\n", "has no ranges in geoip"),
        ("geoip6", "2001:db8::,2001:db8::1,FR\n2001:db7::,2001:db7::1,FR\n", "holds a line in geoip6"),
        ("geoip6", "1,2,FR\n", "holds a line in geoip6"),
        ("geoip6", "", "has no ranges in geoip6"),
        ("geoip6", None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_list_is_named(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    """Lists with invalid, unordered or overlapping lines, and empty or missing lists, are rejected by name."""
    lists = debians_lists(tmp_path)
    (lists / name).unlink()
    if text is not None:
        (lists / name).write_text(text, encoding="utf-8")
    with pytest.raises(CountryError, match=said):
        Countries(lists)


def test_a_path_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """A missing path is rejected, and the message names the setting."""
    with pytest.raises(SettingError, match=r"^PHAROS_COUNTRY_DATABASE cannot be read: No such file"):
        lookup(Settings(country_database=str(tmp_path / "missing.mmdb")))


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def minute(self) -> None:
        self.now += CHECK_SECONDS


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    """A replaced or overwritten file is read within a minute."""
    clock = Clock()
    file = an_mmdb(tmp_path)
    countries = Countries(file, clock)
    (tmp_path / "new").write_bytes(mmdb({"198.51.100.0/24": {"country": "BE"}}))
    (tmp_path / "new").rename(file)
    assert countries("198.51.100.7") == "NL"
    clock.minute()
    assert countries("198.51.100.7") == "BE"
    file.write_bytes(mmdb({"198.51.100.0/24": {"country": "LU"}, "192.0.2.0/24": {"country": "AT"}}))
    clock.minute()
    assert countries("198.51.100.7") == "LU"


def test_a_file_that_is_emptied_under_us_ends_nobody(tmp_path: Path) -> None:
    """Truncating the mapped file, as `cp` does, kills no process with SIGBUS."""
    file = an_mmdb(tmp_path)
    countries = Countries(file)
    file.write_bytes(b"")
    assert countries("198.51.100.7") == "NL"


def test_replaced_lists_are_read_anew(tmp_path: Path) -> None:
    """A change of either list is read."""
    clock = Clock()
    lists = debians_lists(tmp_path)
    countries = Countries(lists, clock)
    (lists / "geoip6").write_text(GEOIP6.replace("FR", "BE") + "2001:db8:9::,2001:db8:9::1,LU\n")
    clock.minute()
    assert [countries(address) for address in ("198.51.100.7", "2001:db8:1::1", "2001:db8:9::1")] == ["NL", "BE", "LU"]


def test_what_cannot_be_read_replaces_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A broken or missing file is logged, and the previous data stays in use."""
    clock = Clock()
    file = an_mmdb(tmp_path)
    countries = Countries(file, clock)
    file.write_bytes(WHOLE[: len(WHOLE) // 2])
    clock.minute()
    assert countries("198.51.100.7") == "NL"
    assert "is not a readable MMDB file; the previous data stays in use" in caplog.text
    file.unlink()
    clock.minute()
    assert countries("198.51.100.7") == "NL"
    file.write_bytes(mmdb({"198.51.100.0/24": {"country": "BE"}}))
    clock.minute()
    assert countries("198.51.100.7") == "BE"


def test_threads_go_on_while_one_reads(tmp_path: Path) -> None:
    """While the file is replaced repeatedly, each lookup uses one complete version."""
    clock = Clock()
    file = an_mmdb(tmp_path)
    countries = Countries(file, clock)
    told: set[str] = set()

    def ask() -> None:
        for _ in range(300):
            told.add(countries("198.51.100.7"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        file.write_bytes(mmdb({"198.51.100.0/24": {"country": "B" + "EGI"[number % 3]}} | {"192.0.2.0/24": {}}))
        clock.minute()
        countries("198.51.100.7")
    for thread in threads:
        thread.join()
    assert told <= {"NL", "BE", "BG", "BI"}
    clock.minute()
    assert countries("198.51.100.7") == "BG"


@KINDS
def test_the_address_leaves_its_country_in_the_usage_plane_and_nothing_else(tmp_path: Path, make: Make) -> None:
    """Both rows contain the country. Only the license row contains the address."""
    planes = Planes(b"a root secret", lookup(Settings(country_database=str(make(tmp_path)))))
    made = planes.split(beacon(drop=["server.public_ip"]), "198.51.100.200", datetime(2026, 11, 22, tzinfo=UTC))
    assert (made.usage["country"], made.license["country"]) == ("DE", "DE")
    assert b"198.51" not in encode(made.usage)
    assert b"198.51.100.200" in encode(made.license)
