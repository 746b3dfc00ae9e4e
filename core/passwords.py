"""Check the strength of passwords, and explain how to choose a better one."""

import re
from itertools import pairwise

LEAST = 12
BETTER = "use four random words"
# Words that attackers try first, with digits and signs around them, including rows of keys.
COMMON = (
    "administrator", "qwertyuiop", "1234567890", "asdfghjkl", "password", "passwort", "passw0rd", "p@ssw0rd",
    "p@ssword", "letmein", "changeme", "welcome", "whmcs", "pharos", "zxcvbnm", "qwerty", "qwertz", "azerty",
    "iloveyou", "default", "secret", "admin", "login", "change", "hallo", "hello", "root", "test", "pass", "abc",
)  # fmt: skip


def weakness(password: str, name: str = "") -> str:
    """Return why the password is too weak for the user `name`, "" if it is not. Never repeats the password."""
    if len(password) < LEAST:
        return f"it must have at least {LEAST} characters: {BETTER}"
    if len(set(password)) < 6 or _repeats(password) or _is_sequence(password):
        return f"it repeats a pattern or follows the alphabet or the keyboard: {BETTER}"
    rest = password.lower()
    for word in sorted({*COMMON, name.lower()} - {""}, key=len, reverse=True):
        rest = rest.replace(word, " ")
    if len(re.sub(r"[\W\d_]", "", rest)) < 4 and rest != password.lower():
        return f"it is mostly a common password or the user's name: {BETTER}"
    return ""


def _repeats(password: str) -> bool:
    """Whether it repeats a shorter text. The last repetition may be partial."""
    return any(password.startswith(password[length:]) for length in range(1, len(password) // 2 + 1))


def _is_sequence(password: str) -> bool:
    """Whether nearly every character equals the previous one or is next to it (`abcdef`, `987654`)."""
    steps = [abs(ord(after) - ord(before)) <= 1 for before, after in pairwise(password)]
    return sum(steps) > len(steps) * 2 / 3
