"""The environment that `pharos serve` passes to its parts."""

from core.settings import Settings
from pharos.serve import SECRETS, environment

GIVEN = {
    "PATH": "/bin",
    "PHAROS_K": "7",
    "PHAROS_SECRET_FILE": "/run/secret",
    "PHAROS_CLICKHOUSE_URL": "http://u:p@db:8123/pharos",
    "PHAROS_LICENSE_CLICKHOUSE_URL": "http://u:p@other:8123/pharos",
    "PHAROS_CLICKHOUSE_CLUSTER": "main",
    "PHAROS_INGEST_KEY": "the first key of this home",
    "PHAROS_ADMIN_PASSWORD_FILE": "/run/password",
}

SERVERS = {"PHAROS_CLICKHOUSE_URL", "PHAROS_LICENSE_CLICKHOUSE_URL", "PHAROS_CLICKHOUSE_CLUSTER"}


def test_a_part_gets_the_secrets_that_it_needs_and_no_others() -> None:
    """The collector has no ClickHouse URL, the loader no root secret, and no part the first password."""
    kept = {part: set(environment(part, GIVEN)) - {"PATH", "PHAROS_K"} for part in ("collector", "dashboard", "load")}
    assert kept == {
        "collector": {"PHAROS_SECRET_FILE"},
        "dashboard": {"PHAROS_SECRET_FILE", *SERVERS},
        "load": SERVERS,
    }


def test_what_is_left_is_a_whole_environment() -> None:
    """The passed settings are valid for each part."""
    given = {name: value for name, value in GIVEN.items() if not name.endswith("_FILE")}
    for part in ("collector", "dashboard", "load"):
        assert Settings.from_environ(environment(part, given)).k == 7
    assert all(name.removeprefix("PHAROS_").lower() in Settings.__dataclass_fields__ for name in SECRETS)
