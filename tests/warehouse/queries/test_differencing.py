"""What an asker may still be told, in values alone."""

from datetime import date

import pytest

from warehouse.queries import differencing
from warehouse.queries.differencing import KEPT_SECONDS, Cell, Differencing


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def cell(installs: int, start: int = 1, end: int = 30, **conditions: str) -> Cell:
    """A count of days of November."""
    return Cell("b", date(2026, 11, start), date(2026, 11, end), frozenset(conditions.items()), installs)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (cell(40), cell(37, os="debian"), False),
        (cell(40), cell(35, os="debian"), True),
        (cell(40), cell(40, os="debian"), True),
        (cell(40), cell(38, end=29), False),
        (cell(40), cell(38, start=2, end=29, os="debian", php="8.2"), False),
        (cell(40, os="debian"), cell(38, php="8.2"), True),
        (cell(40, end=20), cell(38, start=10), True),
        (cell(40, os="debian"), cell(38, os="debian", php="8.2"), False),
        (cell(40), cell(42), False),
    ],
)
def test_a_count_is_withheld_beside_one_that_holds_it_and_few_more(first: Cell, second: Cell, told: bool) -> None:
    """Fewer days, more filters, or both; in either order. What neither holds of the other says nothing of it."""
    for one, two in ((first, second), (second, first)):
        asked = Differencing(5)
        assert asked.withhold("a", [one]) == set()
        assert asked.withhold("a", [two]) == (set() if told else {"b"})
        assert asked.withhold("b", [two]) == set(), "somebody else was told nothing"


SERIES = cell(40, series="8.2")
VERSIONS = [cell(20, series="8.2", php="8.2.12"), cell(18, series="8.2", php="8.2.11")]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([[SERIES], VERSIONS], False),
        ([VERSIONS, [SERIES]], False),
        ([[SERIES], VERSIONS[:1], VERSIONS[1:]], False),
        ([VERSIONS[:1], [SERIES], VERSIONS[1:]], False),
        ([[SERIES], [*VERSIONS, cell(6, php="(other)")]], False),
        ([[SERIES], VERSIONS[:1]], True),
        ([[cell(38, series="8.2")], VERSIONS], True),
        ([[cell(43, series="8.2")], VERSIONS], True),
        ([[cell(60)], [SERIES, cell(20, series="8.3")]], True),
        ([[cell(62)], [SERIES, cell(20, series="8.3")]], False),
        ([[cell(40, os="debian")], [cell(20, os="debian", php="1"), cell(18, os="debian", php="2")]], False),
        ([[cell(40)], [cell(20, os="a", php="1"), cell(18, os="b", php="2")]], False),
        ([[cell(40)], [cell(20, os="a"), cell(18, php="1")]], True),
        ([[cell(40)], [cell(20, feature="a"), cell(18, feature="b")]], True),
        ([[cell(40)], [cell(20, end=20, os="a"), cell(18, start=20, os="b")]], True),
    ],
)
def test_a_count_is_withheld_whose_parts_leave_few(answers: list[list[Cell]], told: bool) -> None:
    """In any order and any number of answers; only the last one is withheld. Parts may overlap in some dimensions."""
    asked = Differencing(5)
    assert [asked.withhold("a", cells) for cells in answers[:-1]] == [set()] * (len(answers) - 1)
    assert asked.withhold("a", answers[-1]) == (set() if told else {"b"})


def test_parts_of_yesterday_count() -> None:
    """Parts of one count may be told on different days."""
    clock = Clock()
    asked = Differencing(5, clock)
    asked.withhold("a", [SERIES, VERSIONS[0]])
    clock.now = KEPT_SECONDS
    assert asked.withhold("a", [VERSIONS[1]]) == {"b"}


def test_the_same_answer_is_given_again() -> None:
    """And what was withheld is not known: it withholds nothing else."""
    asked = Differencing(5)
    assert asked.withhold("a", [cell(40)]) == set()
    assert asked.withhold("a", [cell(40)]) == set()
    assert asked.withhold("a", [cell(38, os="debian")]) == {"b"}
    assert asked.withhold("a", [cell(35, os="debian", php="8.2")]) == set()


def test_after_a_day_or_two_it_is_forgotten() -> None:
    """At least a day after it was told."""
    clock = Clock()
    asked = Differencing(5, clock)
    asked.withhold("a", [cell(100, start=30)])
    clock.now = KEPT_SECONDS - 1
    asked.withhold("a", [cell(40)])
    clock.now += KEPT_SECONDS - 1
    assert asked.withhold("a", [cell(38, os="debian")]) == {"b"}
    clock.now += 2 * KEPT_SECONDS
    assert asked.withhold("a", [cell(38, os="debian")]) == set()


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets past the memory by filling it: beyond it nothing new is told that day."""
    monkeypatch.setattr(differencing, "MOST_CELLS", 10)
    asked = Differencing(5)
    assert [asked.withhold("a", [cell(100 * n, os=str(n))]) for n in range(12)] == [set()] * 10 + [{"b"}] * 2
    many = {f"dimension{number}": "x" for number in range(9)}
    asked_of_all = Cell("b", date(2026, 11, 1), date(2026, 11, 30), frozenset(many.items()), 100)
    assert Differencing(5).withhold("a", [asked_of_all]) == {"b"}
