"""A statement ends when nobody waits for its result."""

import threading

import pytest

from tests.end_to_end.system import wait_for
from warehouse.cancellation import cancelled_when
from warehouse.errors import Cancelled, EngineError


def test_no_statement_runs_for_a_client_that_is_already_gone() -> None:
    """The next statement of the same question is not sent."""
    with pytest.raises(Cancelled), cancelled_when(lambda: True, lambda: None):
        pytest.fail("the statement was sent")


def test_an_error_is_passed_on_while_the_client_waits() -> None:
    """Nothing is cancelled, and no thread stays."""
    before = threading.active_count()
    with pytest.raises(KeyError), cancelled_when(lambda: False, pytest.fail):
        raise KeyError
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [OSError(), None])
def test_a_cancelled_statement_is_no_error_of_clickhouse(error: Exception | None) -> None:
    """Whatever it failed with, and also if it ended with a result: its connection must not be used again."""
    gone, cancelled = threading.Event(), threading.Event()

    def statement() -> None:
        gone.set()
        assert cancelled.wait(60)
        if error:
            raise error

    with pytest.raises(Cancelled), cancelled_when(gone.is_set, cancelled.set):
        statement()


def test_a_cancellation_that_comes_too_early_or_fails_is_repeated() -> None:
    """ClickHouse may not know the statement yet, or may not answer."""
    gone = threading.Event()
    times: list[int] = []

    def cancel() -> None:
        times.append(1)
        raise EngineError

    def statement() -> None:
        gone.set()
        wait_for(lambda: len(times) > 1, "a second cancellation")

    with pytest.raises(Cancelled), cancelled_when(gone.is_set, cancel):
        statement()
