"""The home: one secret, one owner, for us alone."""

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
    """Eight processes that start at once agree on one secret, and leave no half secret behind."""
    with get_context("spawn").Pool(8) as pool:
        made = pool.map(secret_of, [str(tmp_path / "home")] * 8, chunksize=1)
    assert len(set(made)) == 1
    assert len(made[0]) == 64
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret"]


def test_the_secret_is_made_once_by_threads(tmp_path: Path) -> None:
    """Many threads agree on one secret, in home after home."""
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            made = set(pool.map(secret_of, [str(tmp_path / str(number))] * 8))
        assert len(made) == 1


def test_the_secret_is_kept_and_for_us_alone(tmp_path: Path) -> None:
    """It is the same after a restart, of mode 0600 in a home of mode 0700, and another one in another home."""
    first = secret_of(str(tmp_path / "home"))
    assert secret_of(str(tmp_path / "home")) == first != secret_of(str(tmp_path / "other"))
    assert stat.S_IMODE((tmp_path / "home" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700


def test_a_given_secret_is_not_written_down(tmp_path: Path) -> None:
    """The setting wins over the home, and nothing of it is stored there."""
    home = Home(tmp_path / "home")
    assert home.root_secret(Settings(secret="from outside")) == b"from outside"
    assert list(home.path.iterdir()) == []


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """While one holds a lock another is told; after it is closed it is free; other locks are not touched."""
    home = Home(tmp_path)
    held = home.lock("engine")
    with pytest.raises(HomeError, match="engine"):
        Home(tmp_path).lock("engine")
    home.lock("loader").close()
    held.close()
    home.lock("engine").close()


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Where a file stands in the way the message names the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(HomeError, match="PHAROS_HOME"):
        Home(tmp_path / "file" / "home")


def test_each_purpose_has_a_key_of_its_own() -> None:
    """Another purpose, or another root secret, gives another key."""
    assert len({derive(b"root", "one"), derive(b"root", "two"), derive(b"toor", "one")}) == 3


def test_derived_keys_never_change() -> None:
    """Pseudonyms of years hang on these bytes: a change would make every install a new one."""
    assert derive(b"root", "usage install").hex() == KNOWN


# HKDF-SHA256(secret b"root", no salt, info b"pharos usage install", 32 bytes), computed apart from this code.
KNOWN = "a0789b12c99dc687d7aaef6222b960bebcf904383469b3a665fc8b3092ee3a38"
