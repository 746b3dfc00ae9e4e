"""The colors of series, safe for color-blind readers (Okabe and Ito, 2008), with contrast in both color schemes."""

from collections.abc import Sequence

from dashboard.answer_rows import SUMS
from dashboard.charts.style import GREY

PALETTE = ("#5c7cfa", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#3a9bd0", "#8b6fd1", "#a6761d")


def colors(names: Sequence[str]) -> dict[str, str]:
    """A color for each name, in their order; `(other)`, `(rest)` and names beyond the palette are grey."""
    named = [name for name in names if name not in SUMS]
    return {name: PALETTE[named.index(name)] if name in named[: len(PALETTE)] else GREY for name in names}
