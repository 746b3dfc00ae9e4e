"""Rows for the spool, numbered."""

import json

from collector.spool import Row

PLACE = 1_000_003  # so that neither plane's order is that of arrival


def row(number: int) -> Row:
    """Beacon `number`; the rows of its planes say so."""
    usage = {"install": number * PLACE % 997, "beacon": number, "day": "2026-11-22", "features": {}}
    license = {
        "install": number * PLACE % 991,
        "beacon": number,
        "time": "2026-11-22 10:00:00.000",
        "module": "invoice_pro",
        "version": str(number),  # so that its report is told from others
        "status": "licensed",
    }
    return Row(number.to_bytes(16), json.dumps(usage).encode(), json.dumps(license).encode())


def rows(*numbers: int) -> list[Row]:
    """Several of them."""
    return [row(number) for number in numbers]
