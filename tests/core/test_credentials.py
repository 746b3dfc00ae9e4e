"""Ingest keys, tokens and logins: each works until it is revoked, and the file contains none of them."""

import contextlib
import sqlite3
import stat
import time
from pathlib import Path

import pytest

import core.credentials
from core.credentials import TOKEN_DAYS, CredentialError, Credentials, Role, hashed


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials(tmp_path / "credentials.sqlite")


def test_a_key_is_known_until_it_is_revoked(credentials: Credentials) -> None:
    """A new key is valid immediately for all modules, until it is revoked."""
    key = credentials.add_key()
    known = credentials.key(key)
    assert known is not None
    assert known.allows("any_module")
    assert credentials.keys() == [known]
    credentials.revoke_key(known.id)
    assert credentials.key(key) is None
    assert credentials.keys() == []


def test_a_key_may_be_for_some_modules(credentials: Credentials) -> None:
    """A key with modules is valid for these modules only."""
    known = credentials.key(credentials.add_key(("invoice_pro", "bulk_mail")))
    assert known is not None
    assert known.modules == {"invoice_pro", "bulk_mail"}
    assert [known.allows(name) for name in ("invoice_pro", "bulk_mail", "invoice", "")] == [True, True, False, False]


def test_a_key_is_for_one_purpose(credentials: Credentials) -> None:
    """A development key posts beacons. It is not also a registry key."""
    key = credentials.key(credentials.add_key(("invoice_pro",), development=True))
    assert key is not None
    assert (key.development, key.registry, key.allows("invoice_pro"), key.allows("other")) == (True, False, True, False)
    with pytest.raises(CredentialError, match="not for both"):
        credentials.add_key(registry=True, development=True)
    assert credentials.keys() == [key]


@pytest.mark.parametrize("name", ["", "Invoice", "9a", "a-b", "a" * 65, "a\n", "jane@example.com"])
def test_a_key_is_not_made_for_what_is_no_module(credentials: Credentials, name: str) -> None:
    """An invalid module name is rejected and no key is created."""
    with pytest.raises(CredentialError):
        credentials.add_key((name,))
    assert credentials.keys() == []


def test_a_given_key_is_added_once(credentials: Credentials) -> None:
    """The key from the setting is added once, also after a restart."""
    assert credentials.add_key(key="a-given-key") == "a-given-key" == credentials.add_key(key="a-given-key")
    assert len(credentials.keys()) == 1
    assert credentials.key("a-given-key") is not None


@pytest.mark.parametrize("presented", ["", "x", "pik_", "A-GIVEN-KEY", "a-given-key ", "\ud800", "ключ"])
def test_an_unknown_key_is_nobodys(credentials: Credentials, presented: str) -> None:
    """Only the exact key is valid, whatever characters are tried."""
    credentials.add_key(key="a-given-key")
    assert credentials.key(presented) is None


def test_keys_and_tokens_are_not_each_other(credentials: Credentials) -> None:
    """A key is no token, and a token is no key."""
    key, token = credentials.add_key(), credentials.add_token(Role.ADMIN)
    assert credentials.token(key) is None
    assert credentials.key(token) is None


@pytest.mark.parametrize("role", list(Role))
def test_a_token_is_known_until_it_is_revoked(credentials: Credentials, role: Role) -> None:
    """A token has its role until it is revoked."""
    token = credentials.add_token(role)
    known = credentials.token(token)
    assert known is not None
    assert known.role is role
    assert [token.id for token in credentials.tokens()] == [known.id]
    credentials.revoke_token(known.id)
    assert credentials.token(token) is None


def test_a_revoked_key_is_soon_unknown_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes see a new key at once, and a revoked one no more when their cache expires."""
    here, there = (Credentials(tmp_path / "credentials.sqlite") for _ in range(2))
    now = 1000.0
    monkeypatch.setattr("core.credentials.time.monotonic", lambda: now)
    assert there.key("k") is None
    key, token = here.add_key(), here.add_token(Role.PRODUCT)
    assert there.key(key) is None
    now += core.credentials.NEW_SECONDS + 0.01
    assert there.token(token) is not None
    known = there.key(key)
    assert known is not None
    here.revoke_key(known.id)
    now += core.credentials.CACHE_SECONDS + 0.01
    assert there.key(key) is None


def test_a_password_is_stored_as_a_hash_that_takes_work(credentials: Credentials, tmp_path: Path) -> None:
    """With scrypt, 32 MiB for each guess."""
    credentials.add_user("kim", Role.PRODUCT, "correct horse battery")
    with contextlib.closing(sqlite3.connect(tmp_path / "credentials.sqlite")) as db:
        ((stored,),) = db.execute("SELECT password FROM users")
    assert stored.startswith("scrypt:32768:8:1$")


def test_a_login_is_the_right_password_alone(credentials: Credentials) -> None:
    """A user logs in with the right password only."""
    password = credentials.add_user("jane", Role.LICENSING)
    assert len(password) >= 12
    user = credentials.log_in("jane", password)
    assert user is not None
    assert (user.name, user.role) == ("jane", Role.LICENSING)
    for name, tried in (("jane", ""), ("jane", password + "x"), ("Jane", password), ("joan", password), ("", "")):
        assert credentials.log_in(name, tried) is None


def test_a_removed_user_is_gone(credentials: Credentials) -> None:
    """A removed user cannot log in, and the name can be used again."""
    password = credentials.add_user("jane", Role.PRODUCT, "correct horse")
    assert password == "correct horse"
    credentials.remove_user("jane")
    assert credentials.log_in("jane", password) is None
    assert credentials.user("jane") is None
    credentials.add_user("jane", Role.ADMIN, "another one")
    assert [(user.name, user.role) for user in credentials.users()] == [("jane", Role.ADMIN)]


def test_a_name_is_taken_once(credentials: Credentials) -> None:
    """A second user with the same name is rejected. The first keeps role and password."""
    credentials.add_user("jane", Role.PRODUCT, "first password")
    with pytest.raises(CredentialError, match="jane"):
        credentials.add_user("jane", Role.ADMIN, "second password")
    assert credentials.log_in("jane", "second password") is None
    user = credentials.log_in("jane", "first password")
    assert user is not None
    assert user.role is Role.PRODUCT


@pytest.mark.parametrize("name", ["", " ", "jane doe", "jane\n", ".jane", "a" * 65, "<b>", "jané"])
def test_a_name_is_plain(credentials: Credentials, name: str) -> None:
    """A name with characters that need escaping is rejected."""
    with pytest.raises(CredentialError):
        credentials.add_user(name, Role.PRODUCT)


def test_what_is_not_there_cannot_be_taken_back(credentials: Credentials) -> None:
    """Revoking or removing something unknown reports an error."""
    with pytest.raises(CredentialError, match="unknown user nobody"):
        credentials.remove_user("nobody")
    for table, revoke in (("keys", credentials.revoke_key), ("tokens", credentials.revoke_token)):
        with pytest.raises(CredentialError) as caught:
            revoke("maybe-a-secret")
        assert str(caught.value) == f"no such id or secret in {table}"


def test_the_file_holds_no_secret(credentials: Credentials, tmp_path: Path) -> None:
    """The file has mode 0600 and contains no key, token or password."""
    secrets = [credentials.add_key(), credentials.add_token(Role.ADMIN), credentials.add_user("jane", Role.ADMIN)]
    path = tmp_path / "credentials.sqlite"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    stored = path.read_bytes()
    assert b"jane" in stored
    assert not any(secret.encode() in stored or secret[4:].encode() in stored for secret in secrets)


def test_only_product_is_kept_from_the_license_plane() -> None:
    """The roles licensing and admin may see the license plane, product may not."""
    assert [role.licensing for role in (Role.PRODUCT, Role.LICENSING, Role.ADMIN)] == [False, True, True]


def test_a_token_expires(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token expires after a year by default, after the given days, or never."""
    year, week, for_ever = (credentials.add_token(Role.ADMIN, days) for days in (365, 7, None))
    began = time.time()

    def known(days: float) -> list[bool]:
        monkeypatch.setattr(time, "time", lambda: began + days * 86400)
        return [credentials.token(token) is not None for token in (year, week, for_ever)]

    assert known(6.9) == [True, True, True]
    assert known(7.1) == [True, False, True]
    assert known(366) == [False, False, True]
    assert TOKEN_DAYS == 365


def test_the_day_of_a_token_s_last_use_is_known(credentials: Credentials) -> None:
    """The day of a token's last use is written once a day."""
    used, _unused = credentials.add_token(Role.ADMIN), credentials.add_token(Role.ADMIN)
    for _ in range(3):
        assert credentials.token(used) is not None
    assert sorted(token.used or "" for token in credentials.tokens()) == ["", time.strftime("%Y-%m-%d", time.gmtime())]


def test_a_file_of_before_has_tokens_without_an_end(tmp_path: Path) -> None:
    """Tokens of an older file do not expire, and have no label."""
    path = tmp_path / "old.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE tokens (id TEXT PRIMARY KEY, hash BLOB UNIQUE, role TEXT NOT NULL, created TEXT)")
        db.execute("INSERT INTO tokens VALUES ('1', ?, 'admin', '2026-01-01T00:00:00Z')", (hashed("prt_old"),))
    for _ in range(2):
        found = Credentials(path).token("prt_old")
        assert found is not None
        assert found.expires is None
        assert found.label == ""
