"""The settings: how each is read, and messages that name the setting and never its value."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from core.settings import Bind, SettingError, Settings
from core.thresholds import Thresholds

GOOD: dict[str, tuple[str, Any]] = {
    "home": ("/srv/pharos", Path("/srv/pharos")),
    "collector_bind": ("127.0.0.2:8100", Bind("127.0.0.2", 8100)),
    "dashboard_bind": ("[::1]:8151", Bind("::1", 8151)),
    "collector_workers": ("4", 4),
    "clickhouse_url": ("https://u:p@db.example:8443/pharos", "https://u:p@db.example:8443/pharos"),
    "license_clickhouse_url": ("http://u:p@other.example/pharos", "http://u:p@other.example/pharos"),
    "clickhouse_cluster": ("main", "main"),
    "query_seconds": ("20", 20),
    "clickhouse_readers": (
        "product:" + "ab" * 32 + " licensing:" + "cd" * 32,
        "product:" + "ab" * 32 + " licensing:" + "cd" * 32,
    ),
    "k": ("10", 10),
    "figures": ("rounded", "rounded"),
    "disclosure": ("strict", "strict"),
    "trusted_proxies": ("2", 2),
    "states_key": ("0123456789abcdef" * 4, "0123456789abcdef" * 4),
    "secret": ("correct horse battery staple 123", "correct horse battery staple 123"),
    "ingest_key": ("a-key", "a-key"),
    "admin_password": ("a password", "a password"),
    "rate_limit": ("6000", 6000),
    "address_rate_limit": ("60", 60),
    "rights_rate_limit": ("90", 90),
    "raw_days": ("90", 90),
    "aggregate_months": ("37", 37),
    "country_database": ("/usr/share/tor", "/usr/share/tor"),
    "public_page": ("on", "on"),
    "region": ("Frankfurt, Germany", "Frankfurt, Germany"),
    "policy_version": ("2026-11", "2026-11"),
    "contact": ("privacy@example.com", "privacy@example.com"),
    "dashboard_url": ("https://pharos.example.com/", "https://pharos.example.com"),
    "smtp_url": (
        "smtps://user:pw@mail.example.com:465?from=pharos@example.com",
        "smtps://user:pw@mail.example.com:465?from=pharos@example.com",
    ),
    "webhook_url": ("https://hooks.example.com/pharos?to=1", "https://hooks.example.com/pharos?to=1"),
    "webhook_secret": (f"whsec_{'QUJD' * 8}", f"whsec_{'QUJD' * 8}"),
    "metrics_token": ("a token of ours", "a token of ours"),
    "catalog": ("/etc/pharos/catalog.toml", "/etc/pharos/catalog.toml"),
    **{
        each.name: (str(getattr(Thresholds, each.name) + 10), getattr(Thresholds, each.name) + 10)
        for each in fields(Thresholds)
    },
}
DEFAULTS: dict[str, Any] = {
    "home": Path("var"),
    "collector_bind": Bind("127.0.0.1", 8000),
    "dashboard_bind": Bind("127.0.0.1", 8050),
    "collector_workers": 2,
    "clickhouse_url": "",
    "license_clickhouse_url": "",
    "clickhouse_cluster": "",
    "query_seconds": 5,
    "clickhouse_readers": "",
    "k": 5,
    "figures": "exact",
    "disclosure": "standard",
    "trusted_proxies": 0,
    "secret": "",
    "states_key": "",
    "ingest_key": "",
    "admin_password": "",
    "rate_limit": 0,
    "address_rate_limit": 1000,
    "rights_rate_limit": 600,
    "raw_days": 35,
    "aggregate_months": 25,
    "country_database": "",
    "public_page": "off",
    "region": "",
    "policy_version": "",
    "contact": "",
    "smtp_url": "",
    "dashboard_url": "",
    "webhook_url": "",
    "webhook_secret": "",
    "metrics_token": "",
    "catalog": "",
    "unlicensed_days": 3,
    "lapsed_days": 14,
    "unknown_key_days": 2,
    "missing_key_days": 2,
    "missing_key_percent": 90,
    "missing_key_installs": 20,
    "dead_key_days": 3,
    "expired_key_days": 20,
    "shared_key_days": 3,
    "cloned_networks": 3,
    "cloned_days": 4,
    "flapping_changes": 4,
    "flapping_days": 14,
    "trial_days": 45,
    "incident_percent": 10,
    "incident_installs": 10,
    "incident_days": 14,
}
BAD = {
    "home": [" var", "va\nr"],
    "collector_bind": [
        "8000", ":8000", "localhost", "localhost:0", "localhost:65536", "::1:80", "http://localhost:80", "a b:1",
    ],
    "dashboard_bind": ["localhost:http", "[::1]", "localhost:-1"],
    "collector_workers": ["0", "65", "two", "2.0", "-1", "+2", " 2", "²"],
    "clickhouse_url": [
        "localhost", "tcp://localhost:9000", "http://", "http://h:port/db", "http://h:0/db", "http://[::1",
        "http://h/a/b", "http://h/a%60b", "http://h/system", "http://h/" + "a" * 65,
    ],
    "license_clickhouse_url": ["localhost", "http://h/system"],
    "clickhouse_cluster": ["a b", "a;b", "a`b", "-a", "a" * 65],
    "query_seconds": ["0", "61", "5s", "1.5"],
    "clickhouse_readers": ["product:secret", "hunter2 hunter2"],
    "k": ["0", "-5", "five", "1e3", "1000001"],
    "figures": ["nearest", "Exact", "1"],
    "disclosure": ["strictly", "Standard", "1"],
    "trusted_proxies": ["-1", "11", "all"],
    "states_key": ["0123456789abcdef", "0123456789ABCDEF" * 4, "x" * 64],
    "secret": [" leading", "trailing ", "bell\a"],
    "ingest_key": ["line\nbreak"],
    "admin_password": ["tabbed\tword"],
    "rate_limit": ["-1", "none", "1000000001"],
    "address_rate_limit": ["-1", "none", "1000000001"],
    "rights_rate_limit": ["0", "none", "1000000001"],
    "raw_days": ["13", "401", "35 days"],
    "aggregate_months": ["2", "121", "-25"],
    "country_database": [" /usr/share/tor", "tor\a"],
    "public_page": ["true", "yes", "1", "ON"],
    "region": ["Frankfurt,\nGermany", " Frankfurt"],
    "policy_version": ["of November", "-1", "2" * 33],
    "contact": ["line\tbreak"],
    "dashboard_url": [
        "pharos.example.com", "ftp://pharos.example.com", "https://h/path", "https://h?a=1", "https://a@h", "https://h#x",
    ],
    "smtp_url": ["mail.example", "http://mail.example?from=a@b.example", "smtp://mail.example", "smtp://h?from=x"],
    "webhook_url": ["hooks.example.com", "ftp://hooks.example.com", "http:///x", "https://a:b@hooks.example.com/"],
    "webhook_secret": ["whsec_QUJD", "QUJD" * 8, f"whsec_{'QUJD' * 8}!", f"whsec_{'QUJD' * 22}"],
    "metrics_token": [" token", "to\tken"],
    "catalog": [" catalog.toml", "cata\alog"],
    **{each.name: ["0", "-1", "many", "1.5"] for each in fields(Thresholds)},
}  # fmt: skip
NAMES = [field.name for field in fields(Settings)]


def read(**environ: str) -> Settings:
    return Settings.from_environ(environ)


def refusal(**environ: str) -> str:
    with pytest.raises(SettingError) as caught:
        read(**environ)
    return str(caught.value)


def needs(name: str) -> dict[str, str]:
    """Return the settings that a setting requires."""
    if name in ("license_clickhouse_url", "clickhouse_cluster", "clickhouse_readers"):
        return {"PHAROS_CLICKHOUSE_URL": "http://db.example/pharos"}
    other = {"webhook_url": "webhook_secret", "webhook_secret": "webhook_url"}.get(name)
    return {f"PHAROS_{other.upper()}": GOOD[other][0]} if other else {}


def test_every_setting_has_cases() -> None:
    """Every setting has a valid value, a default and invalid values in the tests."""
    assert set(NAMES) == set(GOOD) == set(DEFAULTS) == set(BAD)


def test_nothing_need_be_set() -> None:
    """Without settings the defaults apply. Variables of other programs are ignored."""
    assert read(PATH="/bin", PHARO="x", pharos_k="9") == Settings(**DEFAULTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_is_read(name: str) -> None:
    """Each setting is read from its `PHAROS_` name and changes nothing else."""
    text, value = GOOD[name]
    beside = needs(name)
    given = read(**{f"PHAROS_{name.upper()}": text}, **beside)
    others = DEFAULTS | {other.removeprefix("PHAROS_").lower(): value for other, value in beside.items()}
    assert given == Settings(**{**others, name: value})


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_is_read_from_a_file(name: str, tmp_path: Path) -> None:
    """Each setting can be read from a file, without the last line end."""
    (tmp_path / "value").write_text(GOOD[name][0] + "\n")
    given = read(**{f"PHAROS_{name.upper()}_FILE": str(tmp_path / "value")}, **needs(name))
    assert getattr(given, name) == GOOD[name][1]


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_setting_is_as_none(name: str, tmp_path: Path) -> None:
    """An empty value counts as unset, as Compose files pass it."""
    assert read(**{f"PHAROS_{name.upper()}": ""}) == read(**{f"PHAROS_{name.upper()}_FILE": ""}) == Settings(**DEFAULTS)
    (tmp_path / "value").write_text(GOOD[name][0])
    both = {f"PHAROS_{name.upper()}": "", f"PHAROS_{name.upper()}_FILE": str(tmp_path / "value")}
    assert getattr(read(**both, **needs(name)), name) == GOOD[name][1]


@pytest.mark.parametrize(("name", "bad"), [(name, bad) for name, texts in BAD.items() for bad in texts])
def test_a_bad_value_is_named_and_not_told(name: str, bad: str, tmp_path: Path) -> None:
    """The message contains the name of the setting as it was given, and not its value."""
    message = refusal(**{f"PHAROS_{name.upper()}": bad}, **needs(name))
    assert message.startswith(f"PHAROS_{name.upper()} must ")
    assert len(bad) < 4 or bad.strip() not in message
    (tmp_path / "value").write_text(bad, newline="")
    message = refusal(**{f"PHAROS_{name.upper()}_FILE": str(tmp_path / "value")}, **needs(name))
    assert message.startswith(f"PHAROS_{name.upper()}_FILE must ")


@pytest.mark.parametrize(
    "name", ["PHAROS_SECERT", "PHAROS_", "PHAROS_FILE", "PHAROS_K_FILE_FILE", "PHAROS_k", "PHAROS_KK"]
)
def test_a_misspelt_name_is_named(name: str) -> None:
    """An unknown name is rejected by name, without its value."""
    message = refusal(**{name: "marked-value"})
    assert message.startswith(f"{name} is not a setting")
    assert "marked-value" not in message


def test_a_setting_is_given_once(tmp_path: Path) -> None:
    """A value and a file for the same setting are rejected."""
    (tmp_path / "value").write_text("7")
    message = refusal(PHAROS_K="7", PHAROS_K_FILE=str(tmp_path / "value"))
    assert "PHAROS_K_FILE and PHAROS_K are both set" in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing, binary or empty file and a folder are rejected with the name of the setting."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").write_bytes(b"\n")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "bytes", tmp_path / "empty"):
        said = refusal(PHAROS_SECRET_FILE=str(path))
        assert said.startswith("PHAROS_SECRET_FILE")
        assert str(path) not in said
    assert refusal(PHAROS_SECRET_FILE=str(tmp_path / "missing")).endswith("cannot be read: no such file or directory")
    assert refusal(PHAROS_SECRET_FILE=str(tmp_path / "bytes")).endswith("is not text in UTF-8")


def test_a_cluster_needs_a_server() -> None:
    """A cluster without a server URL is rejected."""
    assert "PHAROS_CLICKHOUSE_URL" in refusal(PHAROS_CLICKHOUSE_CLUSTER="main")


def test_a_webhook_needs_its_secret() -> None:
    """Nothing is sent unsigned."""
    message = "PHAROS_WEBHOOK_URL and PHAROS_WEBHOOK_SECRET need each other"
    for name in ("webhook_url", "webhook_secret"):
        assert refusal(**{f"PHAROS_{name.upper()}": GOOD[name][0]}) == message


def test_the_license_plane_needs_a_database_of_its_own() -> None:
    """A license server without a usage server is rejected, and so is the database of the usage plane."""
    url, name = "http://u:p@db.example/pharos", "PHAROS_LICENSE_CLICKHOUSE_URL"
    assert refusal(PHAROS_LICENSE_CLICKHOUSE_URL=url) == f"{name} needs PHAROS_CLICKHOUSE_URL"
    for same in (url, "http://db.example:8123/pharos", "http://v:q@DB.example/pharos/"):
        assert "the same database" in refusal(PHAROS_CLICKHOUSE_URL=url, PHAROS_LICENSE_CLICKHOUSE_URL=same)
    for other in ("http://db.example/licenses", "http://db.example:8124/pharos", "http://db2.example/pharos"):
        assert read(PHAROS_CLICKHOUSE_URL=url, PHAROS_LICENSE_CLICKHOUSE_URL=other).license_clickhouse_url == other


WEAK = {
    "PHAROS_SECRET": ["secret", "a" * 40, "x7Kq9" * 6, "please-change-me-to-something-long-1234"],
    "PHAROS_INGEST_KEY": ["ingest", "aaaaaaaaaaaaaaaaaaaaaaaa", "changeme-changeme-123456"],
    "PHAROS_ADMIN_PASSWORD": ["admin", "Changeme12345", "abababababab", "whmcs-admin-2026"],
}
OUTSIDE = ["0.0.0.0:8000", "[::]:8000", "192.0.2.1:8000", "pharos.example:8000"]


@pytest.mark.parametrize("bind", ["PHAROS_COLLECTOR_BIND", "PHAROS_DASHBOARD_BIND"])
@pytest.mark.parametrize(("name", "weak"), [(name, weak) for name, texts in WEAK.items() for weak in texts])
def test_a_weak_secret_stays_on_loopback(bind: str, name: str, weak: str) -> None:
    """Weak secrets are accepted on loopback addresses only."""
    for inside in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.8.8.8:8000"):
        assert read(**{bind: inside, name: weak})
    for outside in OUTSIDE:
        message = refusal(**{bind: outside, name: weak})
        assert message.startswith(f"{name} is too weak")
        assert weak not in message


@pytest.mark.parametrize("outside", OUTSIDE)
def test_random_secrets_work_anywhere(outside: str) -> None:
    """Random secrets are accepted on any address. Unset secrets are too, because they are generated."""
    strong = {
        "PHAROS_SECRET": "0f8c2b7d9e4a6153b8d7c0e2f4a19635",
        "PHAROS_INGEST_KEY": "Zk3vQ8rT1yLw6XcN2bJd",
        "PHAROS_ADMIN_PASSWORD": "vT9-qL2_xR7w",
    }
    assert read(PHAROS_COLLECTOR_BIND=outside, **strong).secret == strong["PHAROS_SECRET"]
    assert read(PHAROS_COLLECTOR_BIND=outside).secret == ""


def test_a_bind_reads_as_it_is_written() -> None:
    """A bind address is printed in the form of a URL."""
    assert [str(read(PHAROS_COLLECTOR_BIND=text).collector_bind) for text in ("[::1]:80", "h:80")] == [
        "[::1]:80",
        "h:80",
    ]
