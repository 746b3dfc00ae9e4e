"""How long a session lasts, and what ends it."""

from pathlib import Path

import pytest

from core.credentials import Credentials, Role, User
from core.sessions import IDLE_SECONDS, MOST_SECONDS, RENEW_SECONDS, Sessions

NOW = 1_800_000_000.0


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials(tmp_path / "credentials.sqlite")


@pytest.fixture
def sessions(credentials: Credentials, clock: Clock) -> Sessions:
    return Sessions(credentials, clock)


@pytest.fixture
def user(credentials: Credentials) -> User:
    credentials.add_user("ann", Role.ADMIN, "a long password")
    found = credentials.user("ann")
    assert found is not None
    return found


def test_a_session_names_its_user(sessions: Sessions, user: User) -> None:
    """A session is found by its secret, never by its id."""
    secret = sessions.begin(user)
    found = sessions.find(secret)
    assert found is not None
    assert found.user == user
    for other in (found.id, "", secret[:-1], secret + "x"):
        assert sessions.find(other) is None


def test_the_file_holds_no_secret(sessions: Sessions, user: User, tmp_path: Path) -> None:
    """The file contains no secret of a session."""
    secret = sessions.begin(user)
    for path in tmp_path.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_a_session_outlives_a_restart(sessions: Sessions, user: User, tmp_path: Path, clock: Clock) -> None:
    """A session survives a restart."""
    secret = sessions.begin(user)
    assert Sessions(Credentials(tmp_path / "credentials.sqlite"), clock).find(secret) is not None


def test_a_session_ends_when_it_is_not_used(sessions: Sessions, user: User, clock: Clock) -> None:
    """A session ends after 12 hours without use."""
    secret = sessions.begin(user)
    clock.now += IDLE_SECONDS - 1
    assert sessions.find(secret) is not None
    clock.now += IDLE_SECONDS - 1
    assert sessions.find(secret) is not None
    clock.now += IDLE_SECONDS
    assert sessions.find(secret) is None
    assert sessions.of("ann") == []


def test_a_session_has_an_end(sessions: Sessions, user: User, clock: Clock) -> None:
    """A session ends after 7 days in any case."""
    secret = sessions.begin(user)
    while clock.now < NOW + MOST_SECONDS - 3600:
        assert sessions.find(secret) is not None
        clock.now += 3600
    clock.now = NOW + MOST_SECONDS
    assert sessions.find(secret) is None


def test_a_session_of_a_clock_that_was_ahead_ends(
    sessions: Sessions, user: User, clock: Clock, credentials: Credentials
) -> None:
    """A login while the clock was a year ahead does not last for a year once the clock is right."""
    clock.now += 365 * 86400
    secret = sessions.begin(user)
    assert sessions.find(secret) is not None
    clock.now -= 365 * 86400
    assert sessions.find(secret) is None
    assert (sessions.of("ann"), sessions.count()) == ([], 0)
    sessions.begin(user)
    with credentials.connect() as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_a_clock_that_is_set_back_an_hour_ends_no_session(sessions: Sessions, user: User, clock: Clock) -> None:
    """A small correction costs nobody a login."""
    secret = sessions.begin(user)
    clock.now -= 3600
    assert sessions.find(secret) is not None
    assert sessions.count() == 1


def test_a_use_is_written_once_a_minute(sessions: Sessions, user: User, clock: Clock, credentials: Credentials) -> None:
    """The use of a session is written at most once a minute."""

    def used() -> float:
        (session,) = sessions.of("ann")
        return session.used

    secret = sessions.begin(user)
    clock.now += RENEW_SECONDS - 1
    sessions.find(secret)
    assert used() == NOW
    clock.now += 1
    sessions.find(secret)
    assert used() == clock.now


def test_one_session_ends_and_the_others_do_not(sessions: Sessions, user: User) -> None:
    """A user can end one of their own sessions by its id."""
    one, two = sessions.begin(user), sessions.begin(user)
    found = sessions.find(one)
    assert found is not None
    sessions.end("bob", found.id)
    assert sessions.find(one) is not None
    sessions.end("ann", found.id)
    assert sessions.find(one) is None
    assert sessions.find(two) is not None


def test_all_others_end(sessions: Sessions, user: User) -> None:
    """A user can end all other sessions."""
    secrets = [sessions.begin(user) for _ in range(3)]
    here = sessions.find(secrets[1])
    assert here is not None
    sessions.end_others("ann", here.id)
    assert [sessions.find(secret) is not None for secret in secrets] == [False, True, False]


def test_another_password_ends_all_sessions(sessions: Sessions, user: User, credentials: Credentials) -> None:
    """A changed password ends all sessions of the user."""
    secret = sessions.begin(user)
    credentials.change_password("ann", "another long password")
    assert sessions.find(secret) is None
    assert credentials.log_in("ann", "a long password") is None
    assert credentials.log_in("ann", "another long password") is not None


def test_a_removed_user_has_no_session(sessions: Sessions, user: User, credentials: Credentials) -> None:
    """The sessions of a removed user end, also for a new user with the same name."""
    secret = sessions.begin(user)
    credentials.remove_user("ann")
    assert sessions.find(secret) is None
    credentials.add_user("ann", Role.ADMIN, "a long password")
    assert sessions.find(secret) is None


def test_what_has_ended_is_deleted(sessions: Sessions, user: User, clock: Clock, credentials: Credentials) -> None:
    """Ended sessions are deleted at the next login."""
    sessions.begin(user)
    clock.now += IDLE_SECONDS
    sessions.begin(user)
    with credentials.connect() as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


def test_open_sessions_are_counted(sessions: Sessions, user: User, clock: Clock) -> None:
    """Those that have ended by themselves do not count."""
    assert sessions.count() == 0
    sessions.begin(user)
    clock.now += IDLE_SECONDS - 1
    sessions.begin(user)
    assert sessions.count() == 2
    clock.now += 1
    assert sessions.count() == 1
