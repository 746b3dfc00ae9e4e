"""The releases of a module, and how the newest one compares with earlier ones at the same age."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from core import versions
from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.formatting import count, day, plural, share
from dashboard.significance import interval
from warehouse.queries.small_groups import OTHER

MOST_COMPARED = 6
LEAST_EARLIER = 2
DAYS = 90
BEGINNING = timedelta(days=7)


@dataclass(frozen=True)
class Release:
    """A version, the day of its release, and its adoption: (installs, of) by days since then; None is unknown.

    The adoption of a release that was replaced ends on the day before a higher version came out.
    """

    version: str
    released: date
    adoption: Sequence[tuple[int, int] | None]

    @property
    def curve(self) -> list[float | None]:
        """The share for each day."""
        return [part[0] / part[1] if part else None for part in self.adoption]

    @property
    def age(self) -> int:
        """The last day with a share; -1 for none."""
        return max((day for day, part in enumerate(self.adoption) if part), default=-1)


def reported(data: DataSource, chosen: Filters, dimension: str = "version") -> dict[str, int]:
    """The installs of the module by version of their latest report, newest version first; `(other)` last."""
    rows = known_rows(data.ask("installs", args_of(chosen, dimension))["rows"])
    found = {str(row["key"]): int(row["value"]) for row in rows if row["key"]}
    return dict(sorted(found.items(), key=lambda one: (one[0] != OTHER, _order(one[0])), reverse=True))


def args_of(chosen: Filters, dimension: str) -> dict[str, str]:
    """The parameters of the metric `installs` for the versions in use."""
    return chosen.args(by=dimension, grain="period", count="latest")


def newest(data: DataSource, chosen: Filters) -> list[Release]:
    """The newest releases of the module, the newest first. Prereleases are none."""
    declared = data.catalog().releases(chosen.module)
    names = {*declared, *(name for name in reported(data, chosen) if name != OTHER)}
    ordered = sorted((name for name in names if not _is_prerelease(name)), key=_order, reverse=True)
    answers = data.adoption_of_each_version(_args(chosen), ordered[:MOST_COMPARED])
    found = until_replaced(release for name, answer in answers.items() if (release := _read(data, name, answer)))
    return sorted(found, key=lambda release: (release.released, _order(release.version)), reverse=True)


def of_those(data: DataSource, chosen: Filters, releases: Sequence[Release]) -> list[Release]:
    """The same releases with their adoption by the installs that meet the filters. What is not told is unknown."""
    answers = data.adoption_of_each_version(_args(chosen), [one.version for one in releases])
    return [
        replace(one, adoption=(_parts(answers[one.version]) or [None] * len(one.adoption))[: len(one.adoption)])
        for one in releases
    ]


def until_replaced(releases: Iterable[Release]) -> list[Release]:
    """Each release as long as no higher version came out after it: from then on installs leave it."""
    known = list(releases)
    found = []
    for one in known:
        later = (
            other.released
            for other in known
            if other.released > one.released and _order(other.version) > _order(one.version)
        )
        replaced = min(later, default=None)
        found.append(replace(one, adoption=one.adoption[: (replaced - one.released).days]) if replaced else one)
    return found


def adoption_args(chosen: Filters, version: str) -> dict[str, str]:
    """The parameters of the question `adoption` for a version."""
    return {**_args(chosen), "version": version}


def _args(chosen: Filters) -> dict[str, str]:
    return {"module": chosen.module, "to": chosen.end.isoformat(), "days": str(DAYS), **chosen.conditions}


def _read(data: DataSource, version: str, answer: Mapping[str, Any]) -> Release | None:
    if not answer["released"] or not answer["rows"] or _was_there_before(data, answer):
        return None
    return Release(version, date.fromisoformat(answer["released"]), _parts(answer))


def _parts(answer: Mapping[str, Any]) -> list[tuple[int, int] | None]:
    return [None if row["share"] is None else (row["installs"], row["of"]) for row in answer["rows"]]


def _was_there_before(data: DataSource, answer: Mapping[str, Any]) -> bool:
    """Whether the version was in use when the data begin: its age is not known then."""
    begin = data.first_day()
    return answer["released_by"] == "reports" and begin is not None and answer["released"] < str(begin + BEGINNING)


def band(earlier: Sequence[Release], until: int) -> list[tuple[float, float]]:
    """The lowest and the highest share of earlier releases by age, as long as two of them have one."""
    found = []
    for age in range(until + 1):
        known = [curve[age] for curve in (one.curve for one in earlier) if age < len(curve)]
        shares = [value for value in known if value is not None]
        if len(shares) < 2:
            break
        found.append((min(shares), max(shares)))
    return found


def verdict(release: Release, earlier: Sequence[Release], installs: str = "installs") -> str:
    """How the release takes hold beside earlier ones at its age, with the uncertainty of its share.

    `installs` are those that are counted, in words.
    """
    age = release.age
    if age < 0:
        return f"{release.version} is on too few {installs} to say anything."
    part, of = release.adoption[age] or (0, 1)
    low, high = interval(part, of)
    said = (
        f"On {day(release.released + timedelta(days=age))}, {age} days after its release, {release.version} is on "
        f"{share(part / of)} of the {installs} that reported on that day "
        f"({count(part)} of {count(of)}; 95% interval {share(low)} to {share(high)})."
    )
    known = [value for one in earlier if age < len(one.curve) and (value := one.curve[age]) is not None]
    before = plural(len(earlier), "release")
    reached = f"Of the {before} before, {len(known)} reached that age before a higher version came out"
    if len(known) < LEAST_EARLIER:
        return f"{said} {reached}: too few for a verdict."
    least, most = min(known), max(known)
    if low > most:
        judged = "It takes hold faster than each of them."
    elif high < least:
        judged = "It takes hold slower than each of them."
    elif part / of < least:
        judged = "It is below all of them, but by so few installs that this may be chance."
    elif part / of > most:
        judged = "It is above all of them, but by so few installs that this may be chance."
    else:
        judged = "It takes hold as they did."
    return f"{said} {reached}, with {share(least)} to {share(most)}. {judged}"


def _order(version: str) -> tuple[Any, ...]:
    found = versions.read(version)
    return (found is not None, found.order if found else (), version)


def _is_prerelease(version: str) -> bool:
    found = versions.read(version)
    return found is None or found.prerelease
