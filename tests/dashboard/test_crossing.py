"""The crossed card: which rows have a number."""

import pytest

from dashboard.crossing import unnumbered


@pytest.mark.parametrize(
    ("told", "of_rows", "expected"),
    [
        ({"8.1": 22, "8.2": 40}, {"8.1": 23, "8.2": 40}, {"8.1"}),
        ({"8.1": 22, "8.2": 40}, {"8.1": 27, "8.2": 45}, set()),
        # Of all rows it is told how many installs are in groups too small to show: one alone could be computed.
        ({"8.1": 22, "8.2": 40, "8.3": 50}, {"8.1": 23, "8.2": 47, "8.3": 56}, {"8.1", "8.3"}),
        ({"8.1": 22, "8.2": 40}, {"8.2": 40}, set()),
    ],
)
def test_no_row_tells_how_few_installs_are_outside_its_cells(
    told: dict[str, int], of_rows: dict[str, int], expected: set[str]
) -> None:
    """Its number is left out, unless nobody or k and more are outside."""
    assert unnumbered(told, of_rows, 5) == expected
    assert unnumbered(told, of_rows, 1) == set()
