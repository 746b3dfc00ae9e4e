"""The home: one root secret, locks, and no access for other users."""

import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from core.home import Home, HomeError, derive
from core.settings import Settings


def secret_of(path: str) -> bytes:
    return Home(Path(path)).root_secret(Settings())


def test_the_secret_is_made_once_by_processes_that_start_together(tmp_path: Path) -> None:
    """Eight processes that start together use one secret, and leave no incomplete one."""
    with get_context("spawn").Pool(8) as pool:
        made = pool.map(secret_of, [str(tmp_path / "home")] * 8, chunksize=1)
    assert len(set(made)) == 1
    assert len(made[0]) == 64
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == [
        "secret",
        "secret.fingerprint",
        "states.key",
    ]


def test_the_secret_is_made_once_by_threads(tmp_path: Path) -> None:
    """Threads that start together use one secret."""
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(secret_of, [str(tmp_path / str(number))] * 8))
        assert len(made) == 1


def test_the_secret_is_kept_and_for_us_alone(tmp_path: Path) -> None:
    """The secret survives a restart and differs between homes. It has mode 0600 in a home of mode 0700."""
    first = secret_of(str(tmp_path / "home"))
    assert secret_of(str(tmp_path / "home")) == first != secret_of(str(tmp_path / "other"))
    assert stat.S_IMODE((tmp_path / "home" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_given_secret_is_not_written_down(tmp_path: Path) -> None:
    """The secret from the setting takes precedence and is not stored, only what tells it from another one."""
    home = Home(tmp_path / "home")
    assert home.root_secret(Settings(secret="from outside")) == b"from outside"
    assert {*home.path.iterdir()} == {home.fingerprint, home.states_key}
    for file in home.path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "from outside" not in file.read_text()


SERVER = "http://clickhouse:8123/pharos"


def test_the_key_of_states_is_the_same_for_each_part(tmp_path: Path) -> None:
    """A loader beside the collector reads it in the home, and a dashboard with a home of its own in the setting."""
    home, secret = Home(tmp_path / "collector"), Settings(secret="from outside", clickhouse_url=SERVER)
    home.root_secret(secret)
    key = home.key_of_states(secret)
    assert home.key_of_states(Settings(clickhouse_url=SERVER)) == key
    other = Home(tmp_path / "dashboard")
    with pytest.raises(HomeError, match=r"states\.key is missing: .* elsewhere set PHAROS_STATES_KEY"):
        other.key_of_states(Settings(clickhouse_url=SERVER))
    other.root_secret(Settings(clickhouse_url=SERVER))
    assert other.key_of_states(Settings(clickhouse_url=SERVER)) != key
    given = Settings(clickhouse_url=SERVER, states_key=home.states_key.read_text())
    assert other.key_of_states(given) == key


def test_a_home_is_used_with_its_own_secret_alone(tmp_path: Path) -> None:
    """Another secret, or none where one was given or lost, is refused and not replaced by a new one."""
    given = Home(tmp_path / "given")
    given.root_secret(Settings(secret="from outside"))
    with pytest.raises(HomeError, match="PHAROS_SECRET is not the root secret of"):
        given.root_secret(Settings(secret="another one"))
    with pytest.raises(HomeError, match="is missing: set PHAROS_SECRET_FILE"):
        given.root_secret(Settings())
    assert not given.secret.exists()
    assert given.root_secret(Settings(secret="from outside")) == b"from outside"

    made = Home(tmp_path / "made")
    secret = made.root_secret(Settings())
    made.secret.unlink()
    with pytest.raises(HomeError, match="is missing"):
        made.root_secret(Settings())
    assert made.root_secret(Settings(secret=secret.decode())) == secret
    made.secret.write_text("0" * 64)
    with pytest.raises(HomeError, match=r"secret is not the root secret"):
        made.root_secret(Settings())


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """A lock has one holder at a time, is free after it is closed, and is independent of other locks."""
    home = Home(tmp_path)
    held = home.lock("engine")
    with pytest.raises(HomeError, match="engine"):
        Home(tmp_path).lock("engine")
    home.lock("loader").close()
    held.close()
    home.lock("engine").close()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """If the home cannot be created, the message names the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="PHAROS_HOME"):
        Home(tmp_path / "file" / "home")


def test_each_purpose_has_a_key_of_its_own() -> None:
    """Different purposes and different root secrets give different keys."""
    assert len({derive(b"root", "one"), derive(b"root", "two"), derive(b"toor", "one")}) == 3


def test_derived_keys_never_change() -> None:
    """Derived keys stay the same forever. A change would turn every install into a new one."""
    assert derive(b"root", "usage install").hex() == KNOWN


# HKDF-SHA256(secret b"root", no salt, info b"pharos usage install", 32 bytes), computed apart from this code.
KNOWN = "a0789b12c99dc687d7aaef6222b960bebcf904383469b3a665fc8b3092ee3a38"
