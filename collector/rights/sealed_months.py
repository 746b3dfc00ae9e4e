"""The aggregates of a restricted install: sealed by month, and put back.

They outlive the rows that they were made from. Before anything is deleted, each attempt of a restriction seals them
anew. So an attempt never holds more than the install has, and of several attempts the largest number is the right one.
"""

import base64
from collections.abc import Iterable
from typing import Any

import msgspec

from collector.planes import encode
from collector.rights.encryption import decrypt, encrypt

DAYS, FEATURES, INSTALLS = "installs_by_month", "features_by_month", "installs"
TABLES = (DAYS, FEATURES, INSTALLS)
Rows = dict[str, list[dict[str, Any]]]
_Key = tuple[Any, ...]
_KEY = ("module", "feature", "install", "month", "variant")


def seal(key: bytes, who: int, rows: Rows) -> list[bytes]:
    """Return a sealed line for each month of an install's aggregates."""
    months: dict[str, Rows] = {}
    for table in TABLES:
        for row in rows[table]:
            month = row["last_day"][:8] + "01" if table == INSTALLS else row["month"]
            months.setdefault(month, {}).setdefault(table, []).append(row)
    return [
        encode({"who": who, "month": month, "sealed": base64.b64encode(encrypt(key, of_month)).decode()})
        for month, of_month in sorted(months.items())
    ]


def unseal(key: bytes, sealed: Iterable[bytes]) -> Rows:
    """Return the rows of all sealed months, by table."""
    found: Rows = {table: [] for table in TABLES}
    for each in sealed:
        for table, rows in decrypt(key, each).items():
            found[table] += [row for row in rows if row not in found[table]]
    return found


def put_back(rows: Rows, there: list[dict[str, Any]], edition: int) -> dict[str, list[bytes]]:
    """Return the lines to insert, by table, under the edition of the request.

    `there` are the rows of features that the table holds of the install. What an earlier attempt has put back is
    subtracted.
    """
    days = [{"used": _used(row, rows[FEATURES]), **row, "edition": edition} for row in rows[DAYS]]
    lines = {DAYS: _lines(days), INSTALLS: _lines(rows[INSTALLS])}
    attempts: dict[_Key, dict[str, Any]] = {}
    for row in rows[FEATURES]:
        known = attempts.setdefault((*_key(row), row["edition"]), {"reported": 0, "used": 0, "uses": {}})
        known |= _bits(known, row)
        known["uses"] |= {day: max(uses, known["uses"].get(day, 0)) for day, uses in row["uses"].items()}
    wanted: dict[_Key, dict[str, Any]] = {}
    for (*key, _), row in attempts.items():
        _add(wanted, tuple(key), row, 1)
    for row in there:
        if row["edition"] == edition and _key(row) in wanted:
            _add(wanted, _key(row), {**row, "reported": 0, "used": 0}, -1)
    lines[FEATURES] = _lines(
        {
            **dict(zip(_KEY, key, strict=True)),
            **row,
            "uses": {day: uses for day, uses in row["uses"].items() if uses > 0},
            "edition": edition,
        }
        for key, row in wanted.items()
    )
    return lines


def _used(days: dict[str, Any], features: list[dict[str, Any]]) -> int:
    """The days of use of a month that an earlier version has sealed."""
    used = 0
    for row in features:
        if all(row[name] == days[name] for name in ("module", "install", "month")):
            used |= int(row["used"]) & int(days["days"])
    return used


def _key(row: dict[str, Any]) -> _Key:
    return tuple(row[name] for name in _KEY)


def _bits(one: dict[str, Any], other: dict[str, Any]) -> dict[str, int]:
    return {name: one[name] | other[name] for name in ("reported", "used")}


def _add(sums: dict[_Key, dict[str, Any]], key: _Key, row: dict[str, Any], sign: int) -> None:
    known = sums.setdefault(key, {"reported": 0, "used": 0, "uses": {}})
    known |= _bits(known, row)
    for day, uses in row["uses"].items():
        known["uses"][day] = known["uses"].get(day, 0) + sign * uses


def _lines(rows: Iterable[dict[str, Any]]) -> list[bytes]:
    return sorted(set(map(msgspec.json.encode, rows)))
