"""Which passwords are rejected."""

import pytest

from core.passwords import LEAST, weakness

WEAK = [
    "", "short", "a" * 40, "abababababab", "abcabcabcabcab", "hunter2hunter2", "passwordpassword", "Password1234",
    "PASSWORD!2026!", "p@ssw0rd12345", "admin-admin-1", "Administrator1!", "pharos-admin-1", "whmcs2026whmcs",
    "qwertyuiop12", "qwerty123456", "asdfghjkl123", "123456789012", "987654321098", "abcdefghijkl", "changeme-changeme",
    "letmein12345",
    "jane.doe-2026", "Jane.Doe!Jane.Doe", "welcome@pharos1", "000000000001",
]  # fmt: skip
GOOD = [
    "correct horse battery", "vT9-qL2_xR7w", "password-of-the-tests", "janet plays the tuba", "a rather secret garden",
    "2h7k-93qp-55xz", "ünïcödé wörds", "518274930164", "пароль из слов",
]  # fmt: skip


@pytest.mark.parametrize("password", WEAK)
def test_what_is_guessed_first_is_refused_with_help(password: str) -> None:
    """Passwords that are short, repeated, keyboard rows, common words or the user's name are rejected with a reason."""
    told = weakness(password, "jane.doe")
    assert told.endswith("use four random words")
    assert len(password) < LEAST or password not in told


@pytest.mark.parametrize("password", GOOD)
def test_a_good_password_is_taken(password: str) -> None:
    """Random characters, random digits and several words are accepted."""
    assert weakness(password, "jane.doe") == ""


def test_a_name_is_weak_for_its_owner_alone() -> None:
    """Only the user's own name makes a password weak."""
    assert weakness("marigold-1969", "marigold")
    assert weakness("marigold-1969", "jane") == ""
