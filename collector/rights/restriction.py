"""Seals what ClickHouse holds of a restricted install, and puts it back. The executor deletes what is replaced.

Rows of the usage plane return as `counted`, because the aggregates that were sealed with them return too.
"""

from typing import Any

from collector import sealed_reports
from collector.batch_insert import TABLES as PLANE_TABLES
from collector.batch_insert import insert_batch, insert_id, token, without_known
from collector.planes import SOURCE_INSTALL, encode, sealed_row
from collector.rights import sealed_months
from collector.rights.encryption import decrypt
from collector.rights.request_store import Work, edition
from warehouse import install_data
from warehouse.engine import ContentError, Engine
from warehouse.plane_tables import Plane


def seal(engine: Engine, work: Work) -> None:
    """Insert sealed copies of an install's rows. Raises `ContentError` for rows that could not be restored."""
    key = bytes.fromhex(work["sealing_key"])
    plain: dict[Plane, list[dict[str, Any]]] = {plane: _raw_rows(engine, plane, work) for plane in install_data.TABLES}
    # Read after the rows: a beacon that another loader adds in between is in the aggregates at least.
    months = {table: install_data.rows(engine, table, work["usage"]) for table in sealed_months.TABLES}
    for row in plain["usage"]:
        row["counted"] = 1
    for plane, rows in plain.items():
        _require_readable(engine, PLANE_TABLES[plane], rows)
    for table, rows in months.items():
        _require_readable(engine, table, rows)
    id = insert_id(work["batches"]["sealed"], (encode(row) for rows in months.values() for row in rows))
    lines = sealed_months.seal(key, work["who"], months)
    if lines:
        engine.insert(install_data.SEALED_MONTHS, lines, token(id))
    id = insert_id(work["batches"]["sealed"], map(encode, (*plain["usage"], *plain["license"])))
    lines = [encode(sealed_row(key, work["who"], row, None)) for row in plain["usage"]]
    lines += [encode(sealed_row(key, work["who"], None, row)) for row in plain["license"]]
    insert_batch(engine, "sealed", id, lines)


def lift(engine: Engine, work: Work) -> None:
    """Insert an install's sealed rows into the planes again. Raises `ContentError` before it inserts any."""
    sealed = sealed_rows(engine, work)
    rows: dict[Plane, list[dict[str, Any]]] = {
        plane: [each[plane] for each in sealed if each[plane]] for plane in install_data.TABLES
    }
    for row in rows["usage"]:
        if row.get("counted"):
            row["edition"] = edition(work)
    for row in rows["license"]:
        if "source" in work:
            row[SOURCE_INSTALL] = work["source"]
    for plane, found in rows.items():
        _require_readable(engine, PLANE_TABLES[plane], found)
    _put_aggregates_back(engine, work)
    for plane, found in rows.items():
        lines = sorted(map(encode, found))
        id = insert_id(work["batches"][plane], lines)
        if plane == "usage" and lines:
            lines = without_known(engine, id, lines)
        insert_batch(engine, plane, id, lines)


def _put_aggregates_back(engine: Engine, work: Work) -> None:
    """Insert an install's sealed aggregates again. Raises `ContentError` before it inserts any."""
    rows = sealed_aggregates(engine, work)
    for table, found in rows.items():
        _require_readable(engine, table, found)
    there = install_data.rows(engine, sealed_months.FEATURES, work["usage"])
    for table, lines in sealed_months.put_back(rows, there, edition(work)).items():
        if lines:
            id = insert_id(work["batches"]["sealed"], [table.encode(), *lines])
            engine.insert(table, lines, token(id))


def _require_readable(engine: Engine, table: str, rows: list[dict[str, Any]]) -> None:
    # Add `mark`, as an insert does.
    marked = ({"mark": 0, **row} for row in rows) if table == PLANE_TABLES["usage"] else rows
    lines = [encode(row) for row in marked]
    if table == PLANE_TABLES["license"]:
        sealed_reports.states(lines)
    elif lines and not engine.of(table).reads(table, b"\n".join(lines)):
        raise ContentError(f"the table {table} cannot read its own rows")


def _raw_rows(engine: Engine, plane: Plane, work: Work) -> list[dict[str, Any]]:
    if plane == "license":
        # With what a loader of the version before has inserted, and nothing has sealed yet.
        in_clear = install_data.rows(engine, sealed_reports.SIGHTINGS, work[plane])
        return sealed_reports.rows(engine, work[plane]) + in_clear
    return [
        {name: value for name, value in row.items() if name != "mark"}
        for row in install_data.rows(engine, PLANE_TABLES[plane], work[plane])
    ]


def sealed_aggregates(engine: Engine, work: Work) -> sealed_months.Rows:
    """Return the sealed aggregates of a restricted install, by table. Raises `EngineError`."""
    key = bytes.fromhex(work["sealing_key"])
    return sealed_months.unseal(key, install_data.sealed_months(engine, work["who"]))


def sealed_rows(engine: Engine, work: Work) -> list[dict[str, Any]]:
    """Return the sealed rows of a restricted install, as {plane: row or None}, each once. Raises `EngineError`."""
    key = bytes.fromhex(work["sealing_key"])
    found = []
    for _, sealed, sealed_ip in install_data.sealed(engine, work["who"]):
        rows = decrypt(key, sealed)
        if rows["license"]:
            # The addresses are deleted after 30 days.
            rows["license"] |= decrypt(key, sealed_ip) if sealed_ip else {"ip": "", "ip_claim": ""}
        found.append(rows)
    # The same row may be sealed twice: by two collectors, or again after a kill. The one that says that the
    # aggregates count it must stay, so that it is not summed again.
    chosen: dict[tuple[Plane, int], int] = {}
    for number, rows in enumerate(found):
        for plane in install_data.TABLES:
            if (row := rows[plane]) and (row.get("counted") or (plane, row["beacon"]) not in chosen):
                chosen[plane, row["beacon"]] = number
    once = [
        {plane: row if row and chosen[plane, row["beacon"]] == number else None for plane, row in rows.items()}
        for number, rows in enumerate(found)
    ]
    return [rows for rows in once if any(rows.values())]
