"""The installs that report what the filters are about: the whole of which those hurt are a part."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource
from dashboard.filters import Filters, unfiltered
from warehouse.queries import dimensions
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.small_groups import OTHER

MOST_DIMENSIONS = 2  # that the read API groups by


@dataclass(frozen=True)
class Reported:
    """The installs that report what the filters are about, and how many of them meet these at least and at most.

    Of the installs in `(other)` it is not told whether they do. `between` is None where no value is told.
    """

    of: int
    between: tuple[int, int] | None

    def shares(self, told: int | None) -> tuple[float, float] | None:
        """The two shares between which the share is that meets the filters: of a number that is told, the same ones."""
        numbers = self.between if told is None else (told, told)
        if not numbers or not self.of:
            return None
        least, most = (min(number / self.of, 1) for number in numbers)
        return least, most


NONE = Reported(0, None)


def all_asked(chosen: Filters) -> bool:
    """Whether the installs that report all that the filters are about can be counted; otherwise all active ones are."""
    return len(_dimensions(chosen)) <= MOST_DIMENSIONS


def word(chosen: Filters) -> str:
    """What `by_bucket` counts."""
    return "install" if all_asked(chosen) else "active install"


def args_of(chosen: Filters, **more: str) -> dict[str, str]:
    """The parameters of the metric `installs` that `by_bucket` asks."""
    by = ",".join(_dimensions(chosen)) if all_asked(chosen) else "none"
    return unfiltered(chosen).args(by=by, count="latest", **more)


def by_bucket(data: DataSource, chosen: Filters, args: dict[str, str]) -> dict[str, Reported]:
    """The installs of each bucket, whichever order the filters have. Raises `QueryError` and `EngineError`."""
    found: dict[str, Reported] = {}
    for row in known_rows(data.ask("installs", args)["rows"]):
        if not all_asked(chosen):
            found[row["bucket"]] = Reported(row["value"], None)
        elif all(keys := row.get("keys") or [row["key"]]):
            before = found.get(row["bucket"], Reported(0, (0, 0)))
            least, most = before.between or (0, 0)
            if OTHER in keys:
                most += row["value"]
            elif _meets(keys, chosen):
                least, most = least + row["value"], most + row["value"]
            found[row["bucket"]] = Reported(before.of + row["value"], (least, most))
    return found


def _meets(keys: Sequence[str], chosen: Filters) -> bool:
    reported = dict(zip(_dimensions(chosen), keys, strict=True))
    return all(
        dimensions.matches(name, value, reported[dimension_of(name)]) for name, value in chosen.conditions.items()
    )


def _dimensions(chosen: Filters) -> list[str]:
    return sorted(set(map(dimension_of, chosen.conditions)))
