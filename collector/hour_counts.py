"""Counts the beacons of the license plane by hour: without installs, for the page Health and the notice of a breach."""

from collections import Counter
from collections.abc import Iterable

import msgspec

TABLE = "license_beacons_per_hour"


class _Beacon(msgspec.Struct):
    time: str
    ip: str = ""
    ip_claim: str = ""
    in_state: int | None = None


def per_hour(rows: Iterable[bytes]) -> list[bytes]:
    """Return a row of counts for each hour of these rows of the license plane, in order.

    A row that comes back from a restriction was counted when it came the first time: ClickHouse has said `in_state`.
    """
    beacons: Counter[str] = Counter()
    with_address: Counter[str] = Counter()
    for row in rows:
        beacon = msgspec.json.decode(row, type=_Beacon)
        if beacon.in_state is not None:
            continue
        hour = f"{beacon.time[:13]}:00:00"
        beacons[hour] += 1
        with_address[hour] += bool(beacon.ip or beacon.ip_claim)
    return [
        msgspec.json.encode({"hour": hour, "beacons": number, "with_address": with_address[hour]})
        for hour, number in sorted(beacons.items())
    ]
