"""The rows of each card of the product pages, made from the answers to the calls that the card names.

It is written down a second time, from what the cards say of themselves. Whether the answers are true is checked by
`answers.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dashboard.countries import countries
from dashboard.formatting import count
from tests.fleet import reference, versions
from tests.fleet.answers import OWN, Oracle
from tests.fleet.reference import OTHER

Cell = str | float | None
MOST_BARS, MOST_VALUES = 8, 10


@dataclass(frozen=True)
class Card:
    """A card's id, its columns, and the calls that it names, with their answers."""

    name: str
    columns: Sequence[str]
    calls: Sequence[tuple[str, Mapping[str, str], Any]]

    @staticmethod
    def of(name: str, columns: Sequence[str], answered: Sequence[tuple[str, Any]]) -> "Card":
        """A card with calls as it spells them."""
        calls = []
        for call, answer in answered:
            address = urlsplit(call)
            args = {key: value for key, (value,) in parse_qs(address.query).items()}
            calls.append((address.path.rpartition("/")[2], args, answer))
        return Card(name, columns, calls)

    def answer(self, number: int) -> Any:
        """The answer to one of the calls."""
        return self.calls[number][2]

    def args(self, number: int) -> Mapping[str, str]:
        """The arguments of one of the calls."""
        return self.calls[number][1]

    def known(self, number: int) -> list[Any]:
        """The rows of an answer that have a figure."""
        return [row for row in self.answer(number)["rows"] if row["value"] is not None]


def in_file(share: float) -> float:
    """A share as the browser writes it: to a hundredth of a percent, and half of it upwards."""
    return float(Decimal(share).quantize(Decimal("0.0001"), ROUND_HALF_UP))


def expected(card: Card, oracle: Oracle) -> list[list[Cell]] | None:
    """The rows that the card must have. None for a card whose rows are checked by `check` alone."""
    name = card.name
    if name.startswith("installs_by_"):
        return _bars(card, MOST_BARS)
    if name in ("platforms-crossed", "versions-php"):
        return None
    if name.startswith("platforms-") and name != "platforms-country":
        return _bars(card, MOST_VALUES)
    found = _EXPECTED.get(name)
    return found(card, oracle) if found else None


def part(number: float | None, of: float | None) -> float | None:
    """A share as files have it."""
    return None if number is None or not of else in_file(min(number / of, 1))


def total(oracle: Oracle, args: Mapping[str, str], **more: str) -> int | None:
    """The active installs of a span."""
    given = {name: value for name, value in args.items() if name not in ("by", "grain", "count")} | more
    rows = oracle.rows("installs", {**given, "grain": "period"})
    value: int | None = rows[0]["value"]
    return value


def _bars(card: Card, most: int) -> list[list[Cell]]:
    pairs = "," in card.args(0)["by"]
    rows = [(" ".join(row["keys"]) if pairs else row["key"], row["value"]) for row in card.known(0)]
    rows = [(OTHER if OTHER in str(key).split() else key, number) for key, number in rows if key]
    named = sorted((row for row in rows if row[0] != OTHER), key=lambda row: (-row[1], row[0]))
    rest = [number for key, number in rows if key == OTHER] + ([] if pairs else [number for _, number in named[most:]])
    shown = named[:most] + ([("(rest)" if len(named) > most and not pairs else OTHER, sum(rest))] if rest else [])
    of = card.answer(1)["rows"][0]["value"] if pairs else sum(number for _, number in shown)
    labels = _countries(shown) if card.args(0)["by"] == "country" else {}
    return [[labels.get(key, key), number, in_file(number / of)] for key, number in shown]


def _countries(rows: Sequence[tuple[str, int]]) -> dict[str, str]:
    return {key: f"{countries()[key].name} ({key})" for key, _ in rows if key in countries()}


def _by_country(card: Card, oracle: Oracle) -> list[list[Cell]]:
    rows = [(row["key"], row["value"]) for row in card.known(0) if row["key"]]
    of = sum(number for _, number in rows)
    ordered = sorted(rows, key=lambda row: (row[0] == OTHER, -row[1], row[0]))
    labels = _countries(rows)
    return [[labels.get(key, key), number, in_file(number / of)] for key, number in ordered]


def _over_time(card: Card, oracle: Oracle) -> list[list[Cell]]:
    now, *before = ([(row["bucket"], row["value"]) for row in answer["rows"]] for _, _, answer in card.calls)
    rows: list[list[Cell]] = []
    for place, (day, number) in enumerate(now):
        rows.append([day, number])
        for then in before:
            rows[-1] += then[place] if place < len(then) else (None, None)
    return rows


def _adoption_of_feature(card: Card, oracle: Oracle) -> list[list[Cell]]:
    pairs = zip(card.answer(0)["rows"], card.answer(1)["rows"], strict=True)
    return [[used["bucket"], part(used["value"], of["value"]), used["value"], of["value"]] for used, of in pairs]


def _by_value(card: Card, oracle: Oracle) -> list[list[Cell]]:
    used = {row["key"]: row["value"] for row in card.known(0)}
    rows = [(row["key"], row["value"]) for row in card.known(1) if row["key"] not in (None, OTHER)]
    return sorted(([key, used.get(key), of, part(used.get(key), of)] for key, of in rows), key=str)


def _in_use(card: Card, oracle: Oracle) -> list[list[Cell]]:
    args = dict(card.args(0))
    start, end = date.fromisoformat(args["from"]), date.fromisoformat(args["to"])
    days = end - start + timedelta(days=1)
    back = max(days, timedelta(days=7))
    span = {"from": str(start - back), "to": str(end - back)}
    now, then = (
        {row["key"]: row["value"] for row in rows if row["value"] is not None and row["key"]}
        for rows in (card.answer(0)["rows"], oracle.rows("installs", args | span))
    )
    of, before = sum(now.values()), sum(then.values())
    return sorted(
        (
            [key, number, in_file(number / of), in_file(number / of - then[key] / before) if key in then else None]
            for key, number in now.items()
        ),
        key=str,
    )


def _upgrades(card: Card, oracle: Oracle) -> list[list[Cell]]:
    rows = card.answer(0)["rows"][:15]
    return [[f"{row['from']} → {row['to']}", row["installs"], row["median_days"] or None] for row in rows]


def _by_week(card: Card, oracle: Oracle) -> list[list[Cell]]:
    weeks: dict[str, dict[str, int]] = {}
    for row in card.known(0):
        if row["key"]:
            weeks.setdefault(row["bucket"], {})[row["key"]] = row["value"]
    named = [column for column in card.columns[1:] if column not in (OTHER, "(rest)")]
    rows: list[list[Cell]] = []
    for week, installs in sorted(weeks.items()):
        of = sum(installs.values())
        if set(installs) == {OTHER}:
            rows.append([week, *(None for _ in card.columns[1:])])
            continue
        shares = [installs.get(key, None if OTHER in installs else 0) for key in named]
        rest = [max(of - sum(each or 0 for each in shares), 0)] if len(card.columns) > len(named) + 1 else []
        rows.append([week, *(part(each, of) for each in (*shares, *rest))])
    return rows


def _to_drop(card: Card, oracle: Oracle) -> list[list[Cell]]:
    wanted = {name: value for name, value in card.args(0).items() if name not in OWN}
    names = sorted({name.partition(".")[0] for name in wanted})
    weeks: dict[str, dict[tuple[str, ...], int]] = {}
    for row in card.known(1):
        key = tuple(row["keys"]) if "keys" in row else (row["key"],)
        weeks.setdefault(row["bucket"], {})[key] = row["value"]
    rows: list[list[Cell]] = []
    for row in sorted(card.answer(0)["rows"], key=lambda row: row["bucket"]):
        told = weeks.get(row["bucket"], {})
        met = sum(
            number for key, number in told.items() if OTHER not in key and all(
                reference.meets({key[names.index(name.partition(".")[0])]}, name, value)
                for name, value in wanted.items()
            )
        )  # fmt: skip
        most = met + sum(number for key, number in told.items() if OTHER in key)
        bounds = [met, most] if row["value"] is None else [row["value"], row["value"]]
        rows.append([row["bucket"], *(part(number, sum(told.values())) for number in bounds)])
    first = next(number for number, (_, share, _) in enumerate(rows) if share is not None)
    return [row[: len(card.columns)] for row in rows[first:]]


def _curves(card: Card) -> dict[str, list[float | None]]:
    """The share of each release by day since it came out, up to the day before a higher version did."""
    released = {args["version"]: date.fromisoformat(answer["released"]) for _, args, answer in card.calls}
    curves = {}
    for _, args, answer in card.calls:
        version = args["version"]
        later = [
            (day - released[version]).days
            for other, day in released.items()
            if day > released[version] and _numbers(other) > _numbers(version)
        ]
        rows = answer["rows"][: min(later, default=None)]
        curves[version] = [None if row["share"] is None else row["installs"] / row["of"] for row in rows]
    return curves


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _ages(columns: Sequence[Sequence[float | None]]) -> list[list[Cell]]:
    days = range(max(map(len, columns)))
    values = [[None if one is None else in_file(one) for one in column] for column in columns]
    return [[day, *(column[day] if day < len(column) else None for column in values)] for day in days]


def _since_release(card: Card, oracle: Oracle) -> list[list[Cell]]:
    curves = _curves(card)
    return _ages([curves[version] for version in card.columns[1:]])


def _watch(card: Card, oracle: Oracle) -> list[list[Cell]]:
    curves = _curves(card)
    newest = curves.pop(card.columns[1])
    age = max((day for day, share in enumerate(newest) if share is not None), default=0)
    around = []
    for day in range(age + 1):
        known = [curve[day] for curve in curves.values() if day < len(curve) and curve[day] is not None]
        if len(known) < 2:
            break
        around.append((min(known), max(known)))  # type: ignore[type-var]
    return _ages([newest[: age + 1], [low for low, _ in around], [high for _, high in around]])


def _modules_hurt(card: Card, oracle: Oracle) -> list[list[Cell]]:
    named = [bound for bound in ("at_least", "at_most") if "at least" in str(card.columns) or bound == "at_least"]
    rows = [
        [
            args["module"],
            *(answer[bound] for bound in named),
            *(part(answer[bound], answer["of"]) for bound in named),
            answer["still_upgrading"]["share"],
        ]
        for _, args, answer in card.calls
    ]
    assert len(named) == 2 or all(answer["at_least"] == answer["at_most"] for _, _, answer in card.calls)
    return sorted(rows, key=lambda row: (-(row[1] or 0), -(row[len(named)] or 0)))


def _versions_hurt(card: Card, oracle: Oracle) -> list[list[Cell]]:
    asked = {name: value for name, value in card.args(0).items() if name.partition(".")[0] == "version"}
    rows = [
        [row["version"], row["installs"], row["of"], row["share"]] for row in card.answer(0)["rows"]
        if row["version"] == OTHER
        or all(versions.meets("version", name.partition(".")[2], row["version"], each) for name, each in asked.items())
    ]  # fmt: skip
    return rows[:20]


def _features_hurt(card: Card, oracle: Oracle) -> list[list[Cell]]:
    answer, rows = card.answer(0), []
    hurt, others = answer["installs"], (answer["of"] or 0) - (answer["installs"] or 0)
    for row in answer["features"][:12]:
        one, other = row["share"], row["share_of_others"]
        used = oracle.k - 1 if other is None else round(other * others)
        least = row["installs"] / hurt - used / others
        both = (row["installs"] + used) / (hurt + others)
        chance = 1.96 * (both * (1 - both) * (1 / hurt + 1 / others)) ** 0.5
        hidden = other is None and one * others > others - oracle.k
        difference = None if None in (one, other) else in_file(one - other)
        rows.append([None, one, other, difference, "yes" if least > chance and not hidden else "no"])
    return sorted(rows, key=lambda row: row[-1] != "yes")


def _together(card: Card, oracle: Oracle) -> list[list[Cell]]:
    answer, rows = card.answer(0), []
    users = oracle.rows("feature_installs", {**card.args(0), "grain": "period", "by": "none"})[0]["value"]
    for row in answer["rows"][:10]:
        both, chance, of = row["installs"], row["expected"], answer["of"]
        other = chance * of / users  # the users of the other feature
        variance = users * (other / of) * (1 - other / of) * (of - users) / (of - 1)
        clear = (both - chance) ** 2 > 1.96**2 * variance
        times = f"{both / chance:.1f} ×"
        rows.append([None, both, round(chance), times, "yes" if clear else "no"])
    return sorted(rows, key=lambda row: row[-1] != "yes")


def _first_use(card: Card, oracle: Oracle) -> list[list[Cell]]:
    return [[None, row["installs"], row["share"]] for row in card.answer(0)["rows"]]


def _retention(card: Card, oracle: Oracle) -> list[list[Cell]]:
    found = [row for row in card.answer(0)["rows"][4:] if row["installs"] and row["installs"] >= 2 * oracle.k]
    weeks = len(card.columns) - 1
    return [
        [None, *([part(number, row["installs"]) for number in row["active"]] + [None] * weeks)[:weeks]] for row in found
    ]


def _days_of_modules(card: Card, oracle: Oracle) -> list[list[Cell]]:
    installs: dict[str, dict[str, int]] = {}
    for row in card.known(0):
        if row["key"] != OTHER:
            installs.setdefault(row["key"], {})[row["bucket"]] = row["value"]
    end = date.fromisoformat(card.args(0)["to"])
    days = [str(end - timedelta(days=back)) for back in reversed(range(14))]
    most = {module: max(found.values()) for module, found in installs.items()}
    ordered = sorted(installs, key=lambda module: (-most[module], module))[:20]
    return [[module, *(part(installs[module].get(day), most[module]) for day in days)] for module in ordered]


def _reported(card: Card, oracle: Oracle) -> list[list[Cell]]:
    active = total(oracle, card.args(0))
    assert active
    rows: list[list[Cell]] = []
    for number in range(len(card.calls)):
        known = [row["value"] for row in card.known(number) if row["key"]]
        reported = min(sum(known), active) if known else None
        rows.append([None, reported, part(reported, active)])
    return rows


_EXPECTED = {
    "installs_per_bucket": _over_time,
    "platforms-country": _by_country,
    "adoption_per_bucket": _adoption_of_feature,
    "feature-version": _by_value,
    "feature-php_series": _by_value,
    "feature-whmcs_series": _by_value,
    "feature-together": _together,
    "feature-first_use": _first_use,
    "feature-retention": _retention,
    "share_by_version": _by_week,
    "adoption_since_release": _since_release,
    "release_watch": _watch,
    "versions-in-use": _in_use,
    "versions-upgrades": _upgrades,
    "share_to_drop": _to_drop,
    "drop-modules": _modules_hurt,
    "drop-versions": _versions_hurt,
    "drop-features": _features_hurt,
    "data-days": _days_of_modules,
    "data-reported": _reported,
}
# Rows of which only a part is listed, and not in the order of the answer.
SUBSETS = ("versions-in-use", "feature-version", "feature-php_series", "feature-whmcs_series")


def crossed(card: Card, k: int) -> dict[tuple[str, str], float]:
    """The share of each value of the second dimension among all installs of one of the first.

    A number of all that would tell fewer than k beside the cells is left out, and the next ones until k are left out.
    """
    cells = {tuple(row["keys"]): row["value"] for row in card.known(0) if OTHER not in row["keys"]}
    of: dict[str, int] = {}
    for (one, _), number in cells.items():
        of[one] = of.get(one, 0) + number
    rests = {row["key"]: row["value"] - of[row["key"]] for row in card.known(1) if row["key"] in of}
    smallest_first = sorted((rest, one) for one, rest in rests.items() if rest > 0)
    few = [one for rest, one in smallest_first if rest < k]
    while few and len(few) < len(smallest_first) and (len(few) < 2 or sum(rests[one] for one in few) < k):
        few.append(smallest_first[len(few)][1])
    labels = {one: one if one in few else f"{one} ({count(told + max(rests.get(one, 0), 0))})"
              for one, told in of.items()}  # fmt: skip
    of = {one: told if one in few else told + max(rests.get(one, 0), 0) for one, told in of.items()}
    return {(labels[one], two): in_file(number / of[one]) for (one, two), number in cells.items()}
