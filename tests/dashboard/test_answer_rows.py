"""The rows of answers: which are shown, and in which order."""

from typing import Any

from dashboard.answer_rows import largest_rows

MOST = 8


def rows(*pairs: tuple[str, int | None]) -> list[dict[str, Any]]:
    return [{"bucket": "2026-11-01", "key": key, "value": value} for key, value in pairs]


def test_rows_go_from_large_to_small_and_other_is_last() -> None:
    """`(other)` is last, even if it is the largest. An install that reports nothing is in no row."""
    shown = largest_rows(rows(("(other)", 90), ("8.2", 20), ("", 7), ("8.3", 40)), MOST)
    assert [(row["key"], row["value"]) for row in shown] == [("8.3", 40), ("8.2", 20), ("(other)", 90)]


def test_a_group_under_k_is_no_row() -> None:
    """A group without a value is not shown."""
    assert largest_rows(rows(("(other)", None)), MOST) == []


def test_only_the_largest_are_shown_and_the_others_are_in_other() -> None:
    """The rows add up to all installs that answered, unless an install may be in two: then they cannot be added."""
    many = rows(*((f"v{number}", number + 5) for number in range(40)), ("(other)", 7))
    shown = largest_rows(many, MOST)
    assert len(shown) == MOST + 1
    assert shown[0]["key"] == "v39"
    assert shown[-1]["key"] == "(rest)"
    assert sum(row["value"] for row in shown) == sum(row["value"] for row in many)
    assert largest_rows(many, MOST, apart=False)[-1] == {"key": "(other)", "value": 7}
