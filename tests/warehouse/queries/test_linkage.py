"""The attacks on the two planes find what joins them, where something does."""

import random
from typing import Any

import pytest

from warehouse.queries import linkage
from warehouse.queries.linkage import Candidates, Planes, Row

K = 5
INSTALLS = 60
DAYS = ("2026-11-21", "2026-11-22")
# If both planes showed all that a beacon says.
REPORTED = ("day", "module", "version", "license_status", "country")


def planes(batch: int = 0) -> Planes:
    """Installs 0 to 59 with a beacon a day, of which groups of twenty say the same: nothing joins the planes.

    An install's pseudonyms are what `usage` and `license` make of its number. `batch` > 0 is a column that groups so
    many beacons, under another name in each plane.
    """
    rng = random.Random(1)
    found: tuple[list[Row], list[Row]] = ([], [])
    for day in DAYS:
        for number in range(INSTALLS):
            says = {"day": day, "module": "a", "version": str(number % 3), "license_status": "licensed", "country": ""}
            for plane, name in zip(found, ("usage", "license"), strict=True):
                row: Row = {**says, "install": pseudonym(name, number), "beacon": rng.getrandbits(64)}
                plane.append(
                    row | {"_part": "202611_1_9_1"} | ({"batch": f"{name} {number // batch}"} if batch else {})
                )
    for plane in found:
        rng.shuffle(plane)
    return Planes(*found, shared=REPORTED)


def pseudonym(plane: str, number: int) -> int:
    """A random number of 64 bits for each plane and install."""
    return random.Random(f"{plane} {number}").getrandbits(64)


def changed(attacked: Planes, column: str, usage: Any, license: Any) -> Planes:
    """With a column that `usage` and `license` make of a row."""
    return Planes(
        [row | {column: usage(row)} for row in attacked.usage],
        [row | {column: license(row)} for row in attacked.license],
        attacked.shared,
    )


def found(attacked: Planes, attack: str) -> Candidates:
    return next(found for name, found in linkage.attacks(attacked) if attack in name)


def truth(attacked: Planes) -> Candidates:
    """Of each usage install the one that it is."""
    return {pseudonym("usage", number): frozenset({pseudonym("license", number)}) for number in range(INSTALLS)}


def test_nothing_is_found_where_nothing_joins() -> None:
    """Groups of twenty stay groups of twenty, whatever is tried."""
    for name, candidates in linkage.attacks(planes()):
        assert all(len(each) >= 20 for each in candidates.values()), name
    assert all(figure.exposed == figure.alone == 0 for figure in linkage.figures(planes(), K))


def test_a_common_value_is_found() -> None:
    """A column that is called one thing in one plane and another in the other, and holds the same."""
    numbers = {pseudonym(plane, number): number + 1 for plane in ("usage", "license") for number in range(INSTALLS)}
    attacked = planes()
    for row in attacked.usage:
        row["one"] = f"value {numbers[row['install']]}"
    for row in attacked.license:
        row["another"] = f"value {numbers[row['install']]}"
    assert found(attacked, "equal values") == truth(attacked)


@pytest.mark.parametrize(
    "turn",
    [
        lambda id: id ^ 0x5EC2E75EC2E75EC2,
        lambda id: (id + 0x5EC2E75EC2E75EC2) % 2**64,
        lambda id: (0x5EC2E75EC2E75EC2 - id) % 2**64,
        lambda id: id & 0xFFFFFFFFFFFF | 0x7777 << 48,
        lambda id: id & ~0xFFFF | 0x7777,
    ],
    ids=["xor", "sum", "difference", "low", "high"],
)
def test_a_number_that_is_made_of_the_other_planes_is_found(turn: Any) -> None:
    """One constant for all, or a piece that was left as it is."""
    twins = {pseudonym("license", number): turn(pseudonym("usage", number)) for number in range(INSTALLS)}
    attacked = changed(planes(), "id", lambda row: row["install"], lambda row: twins[row["install"]])
    assert found(attacked, "a constant or a cut") == truth(attacked)


@pytest.mark.parametrize(("batch", "exposed"), [(1, INSTALLS), (6, INSTALLS), (INSTALLS, 0)])
def test_batches_are_found(batch: int, exposed: int) -> None:
    """A column that says which beacons came together exposes small batches, under whatever name; not large ones."""
    (figure,) = [figure for figure in linkage.figures(with_rare(planes(batch), batch), K) if "any two" in figure.attack]
    assert figure.exposed == exposed


def test_two_numbers_that_collide_are_no_batch() -> None:
    """One pair of equal random numbers, beside a column with pairs and single rows, says nothing."""
    attacked = planes()
    for rows in (attacked.usage, attacked.license):
        rows.sort(key=lambda row: (row["version"], row["day"]))
    for place, (usage, license) in enumerate(zip(attacked.usage, attacked.license, strict=True)):
        usage["mark"] = max(place, 1)
        license["key"] = place // 2 if place < 118 else place
    assert all(len(candidates) >= 20 for candidates in found(attacked, "any two").values())


def with_rare(attacked: Planes, batch: int) -> Planes:
    """Each batch with a content of its own: so many of its beacons have an old version."""
    for rows in (attacked.usage, attacked.license):
        for row in rows:
            number = int(row["batch"].split()[1])
            if batch < INSTALLS:
                row["version"] = f"{row['version']} of {number}"
    return attacked


def test_parts_that_were_not_merged_are_found() -> None:
    """Six beacons of an insert of their own, in either plane, may only be one another."""
    attacked = planes()
    for plane, rows in (("usage", attacked.usage), ("license", attacked.license)):
        late = {pseudonym(plane, number) for number in range(6)}
        for row in rows:
            if row["install"] in late:
                row["_part"] = "202611_10_10_0"
    candidates = found(attacked, "parts")
    assert {len(candidates[pseudonym("usage", number)]) for number in range(6)} == {2}
    assert {len(candidates[pseudonym("usage", number)]) for number in range(6, INSTALLS)} == {18}


def test_what_nobody_else_says_is_found() -> None:
    """An install that is alone with its version is exposed by one row."""
    attacked = planes()
    for plane, rows in (("usage", attacked.usage), ("license", attacked.license)):
        for row in rows:
            if row["install"] == pseudonym(plane, 7):
                row["version"] = "alone"
    seventh = pseudonym("usage", 7)
    assert found(attacked, "one row")[seventh] == truth(attacked)[seventh]


def sealed() -> Planes:
    """Installs whose reports are sealed: twenty have each set of modules, and a third reported since the daily pass."""
    rows: dict[str, list[Row]] = {"usage": [], "license": []}
    for plane, shown in rows.items():
        for number in range(INSTALLS):
            for module in "abc"[: number % 3 + 1]:
                row: Row = {"install": pseudonym(plane, number), "module": module, "day": "", "_part": "all_1_1_0"}
                shown.append(row)
                if number < INSTALLS // 3:
                    shown.append({**row, "day": DAYS[1]})
    return Planes(rows["usage"], rows["license"])


def test_a_rare_set_of_modules_is_found() -> None:
    """Twenty installs with the same modules hide each other; one with modules of its own is alone."""
    attacked = sealed()
    assert {len(each) for each in found(attacked, "modules of an install").values()} == {20}
    for plane, rows in (("usage", attacked.usage), ("license", attacked.license)):
        rows += [{"install": pseudonym(plane, 7), "module": "rare", "day": "", "_part": "all_1_1_0"}]
    seventh = pseudonym("usage", 7)
    assert found(attacked, "modules of an install")[seventh] == {pseudonym("license", 7)}


def test_the_latest_reports_narrow_it() -> None:
    """Of the installs with the same modules, only those that have reported since the daily pass may be one that has."""
    attacked = sealed()
    candidates = found(attacked, "latest reports")
    assert {len(candidates[pseudonym("usage", number)]) for number in range(20)} == {6, 7}
    assert {len(candidates[pseudonym("usage", number)]) for number in range(20, INSTALLS)} == {13, 14}
    for plane, rows in (("usage", attacked.usage), ("license", attacked.license)):
        rows.append({"install": pseudonym(plane, 59), "module": "a", "day": DAYS[1], "_part": "all_1_1_0"})
    alone = pseudonym("usage", 59)
    assert found(attacked, "latest reports")[alone] == {pseudonym("license", 59)}
