"""Judges the passwords that people choose: what is wrong with one, in words that help to a better one."""

import re
from itertools import pairwise

LEAST = 12
BETTER = "four random words are a good one"
# What guessers try first, with digits and signs around it; rows of keys among it.
COMMON = (
    "administrator", "qwertyuiop", "1234567890", "asdfghjkl", "password", "passwort", "passw0rd", "p@ssw0rd",
    "p@ssword", "letmein", "changeme", "welcome", "whmcs", "pharos", "zxcvbnm", "qwerty", "qwertz", "azerty",
    "iloveyou", "default", "secret", "admin", "login", "change", "hallo", "hello", "root", "test", "pass", "abc",
)  # fmt: skip


def weakness(password: str, name: str = "") -> str:
    """Why this is too weak a password for the user of that name, "" for good enough. Never repeats the password."""
    if len(password) < LEAST:
        return f"it must have at least {LEAST} characters: {BETTER}"
    if len(set(password)) < 6 or _repeats(password) or _is_sequence(password):
        return f"it repeats itself or runs along the alphabet or the keys: {BETTER}"
    rest = password.lower()
    for word in sorted({*COMMON, name.lower()} - {""}, key=len, reverse=True):
        rest = rest.replace(word, " ")
    if len(re.sub(r"[\W\d_]", "", rest)) < 4 and rest != password.lower():
        return f"it is little more than a word that everybody tries first, or the user's name: {BETTER}"
    return ""


def _repeats(password: str) -> bool:
    """Whether it is a shorter text over and over, the last time perhaps in part."""
    return any(password.startswith(password[length:]) for length in range(1, len(password) // 2 + 1))


def _is_sequence(password: str) -> bool:
    """Whether nearly every character is the neighbor of the one before (`abcdef`, `987654`), or the same."""
    steps = [abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(password)]
    return sum(steps) > len(steps) * 2 / 3
