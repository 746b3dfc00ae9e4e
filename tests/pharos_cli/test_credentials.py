"""`pharos keys`, `users` and `tokens`: created, listed without secrets, and revoked."""

from pathlib import Path

import pytest

from core.credentials import Credentials
from tests.pharos_cli.command import pharos


def lines(home: Path, *words: str) -> list[str]:
    done = pharos(home, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def made(home: Path, *words: str) -> tuple[str, str]:
    """Make a key or a token; return it, which stdout has alone, and its id."""
    done = pharos(home, *words)
    assert done.returncode == 0
    (secret,) = done.stdout.splitlines()
    return secret, done.stderr.removeprefix("its id is ").strip()


def test_a_key_is_shown_once(tmp_path: Path) -> None:
    """`keys new` prints only the key. The list has its id and modules."""
    key, id = made(tmp_path, "keys", "new", "--module", "bulk_mail", "--module", "invoice_pro")
    everywhere, _ = made(tmp_path, "keys", "new")
    known = Credentials(tmp_path / "credentials.sqlite")
    first, second = known.key(key), known.key(everywhere)
    assert first is not None
    assert second is not None
    assert id == first.id
    listed = lines(tmp_path, "keys", "list")
    assert sorted(line.split()[0] for line in listed) == sorted([first.id, second.id])
    assert sorted(line.split(None, 2)[2] for line in listed) == ["all modules", "bulk_mail invoice_pro"]
    assert not [line for line in listed if key in line or everywhere in line]
    assert lines(tmp_path, "keys", "revoke", first.id) == []
    assert [line.split()[0] for line in lines(tmp_path, "keys", "list")] == [second.id]


def test_a_development_key_is_listed_as_one(tmp_path: Path) -> None:
    """It begins in its own way. A key cannot be of two kinds."""
    key, _ = made(tmp_path, "keys", "new", "--development")
    assert key.startswith("pdk_")
    (listed,) = lines(tmp_path, "keys", "list")
    assert listed.endswith("all modules  development")
    both = pharos(tmp_path, "keys", "new", "--development", "--registry")
    assert (both.returncode, both.stdout) == (1, "")
    assert both.stderr == "pharos: a key is for the registry or for development, not for both\n"


def test_a_token_is_printed_alone(tmp_path: Path) -> None:
    """`tokens new` prints only the token. The list has its id and role until it is revoked."""
    token, id = made(tmp_path, "tokens", "new", "--role", "licensing")
    known = Credentials(tmp_path / "credentials.sqlite").token(token)
    assert known is not None
    (listed,) = lines(tmp_path, "tokens", "list")
    assert listed.split()[:2] == [known.id, "licensing"] == [id, "licensing"]
    assert lines(tmp_path, "tokens", "revoke", known.id) == []
    assert lines(tmp_path, "tokens", "list") == []


@pytest.mark.parametrize("words", [("keys",), ("tokens", "--role", "admin")])
def test_a_label_says_in_the_list_whose_it_is(tmp_path: Path, words: tuple[str, ...]) -> None:
    """One without a label ends as before. A label cannot be made to look like a second line."""
    group, *more = words
    made(tmp_path, group, "new", *more)
    _, labelled = made(tmp_path, group, "new", *more, "--label", "Acme's build server, Jane")
    ends = {line.split()[0]: line for line in lines(tmp_path, group, "list")}
    assert ends.pop(labelled).endswith('  "Acme\'s build server, Jane"')
    assert not next(iter(ends.values())).endswith('"')
    for label in ("two\nlines", " spaces", "x" * 65):
        done = pharos(tmp_path, group, "new", *more, "--label", label)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("pharos: a label must be printable text")


@pytest.mark.parametrize(("group", "more"), [("keys", ()), ("tokens", ("--role", "admin"))])
def test_a_leaked_secret_is_revoked_as_it_is(tmp_path: Path, group: str, more: tuple[str, ...]) -> None:
    """Who found a key or token need not know its id. An error does not repeat what may be a secret."""
    secret, _ = made(tmp_path, group, "new", *more)
    _, other = made(tmp_path, group, "new", *more)
    assert lines(tmp_path, group, "revoke", secret) == []
    assert [line.split()[0] for line in lines(tmp_path, group, "list")] == [other]
    done = pharos(tmp_path, group, "revoke", secret)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"pharos: no such id or secret in {group}\n")


def test_a_user_is_added_listed_and_removed(tmp_path: Path) -> None:
    """`users add` prints a generated password that works until the user is removed."""
    (password,) = lines(tmp_path, "users", "add", "jane", "--role", "product")
    known = Credentials(tmp_path / "credentials.sqlite")
    assert known.log_in("jane", password) is not None
    assert [line.split()[:2] for line in lines(tmp_path, "users", "list")] == [["jane", "product"]]
    assert lines(tmp_path, "users", "remove", "jane") == []
    assert known.log_in("jane", password) is None


def test_the_last_admin_is_missed(tmp_path: Path) -> None:
    """`users remove` says when no admin is left, and `doctor` fails until there is one."""
    for name in ("ann", "bea"):
        lines(tmp_path, "users", "add", name, "--role", "admin")
    lines(tmp_path, "users", "add", "jane", "--role", "product")
    assert pharos(tmp_path, "users", "remove", "ann").stderr == ""
    assert "no admin is left" in pharos(tmp_path, "users", "remove", "bea").stderr
    assert "FAIL credentials" in pharos(tmp_path, "doctor").stdout


def test_a_password_may_come_by_standard_input(tmp_path: Path) -> None:
    """A password from standard input is not printed. A weak one is refused with a reason."""
    add = ("users", "add", "jane", "--role", "admin", "--password-stdin")
    short = pharos(tmp_path, *add, given=b"short\n")
    assert short.returncode == 1
    assert "12 characters" in short.stderr
    easy = pharos(tmp_path, *add, given=b"jane-password-1\n")
    assert easy.returncode == 1
    assert "four random words" in easy.stderr
    assert "jane-password" not in easy.stderr
    done = pharos(tmp_path, *add, given=b"correct horse battery\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert Credentials(tmp_path / "credentials.sqlite").log_in("jane", "correct horse battery") is not None


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "revoke", "nobody"), ("tokens", "revoke", "nobody"), ("users", "remove", "nobody"),
        ("keys", "new", "--module", "Invoice Pro"), ("users", "add", "jane doe", "--role", "admin"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    """An error is one line on stderr with exit status 1."""
    done = pharos(tmp_path, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("pharos: ")


@pytest.mark.parametrize("words", [("users", "add", "jane"), ("tokens", "new", "--role", "root"), ("keys", "destroy")])
def test_wrong_usage_says_how(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A missing or unknown option has exit status 2."""
    done = pharos(tmp_path, *words)
    assert done.returncode == 2
    assert "Usage: " in done.stderr


def test_a_password_is_changed(tmp_path: Path) -> None:
    """A generated password is printed, one from standard input is not. A weak one is refused."""
    home = tmp_path / "home"
    first = pharos(home, "users", "add", "ann", "--role", "admin").stdout.strip()
    second = pharos(home, "users", "password", "ann").stdout.strip()
    assert first != second
    credentials = Credentials(home / "credentials.sqlite")
    assert credentials.log_in("ann", first) is None
    assert credentials.log_in("ann", second) is not None
    done = pharos(home, "users", "password", "ann", "--password-stdin", given=b"four random words indeed\n")
    assert (done.returncode, done.stdout) == (0, "")
    assert credentials.log_in("ann", "four random words indeed") is not None
    done = pharos(home, "users", "password", "ann", "--password-stdin", given=b"short\n")
    assert (done.returncode, "too weak" in done.stderr) == (1, True)
    assert pharos(home, "users", "password", "bob").returncode == 1


def test_a_token_has_an_end(tmp_path: Path) -> None:
    """A token expires after a year by default. The list has its expiry and that it was never used."""
    home = tmp_path / "home"
    for days in ([], ["--days", "7"], ["--days", "0"]):
        assert pharos(home, "tokens", "new", "--role", "admin", *days).returncode == 0
    told = pharos(home, "tokens", "list").stdout.splitlines()
    assert sum("does not expire" in line for line in told) == 1
    assert sum("  expires 2" in line for line in told) == 2
    assert all(line.endswith("never used") for line in told)
