"""Reads states as versions before wrote them. Nothing writes these formats any more."""

from struct import unpack
from typing import Any

import msgspec

from warehouse.licensing.states import DAY, NOWHERE, SOME_TIME, Days, Place, Report, State

# A day and a time of it in a number of 32 bits.
TIME_BITS = 17


class _Days(msgspec.Struct, array_like=True):
    """The days of a report from a place. Up to `claim`, a number is a place in the `values` of the state.

    `exact` has 32 bits for each day with a time: the days since `first`, and the seconds of the first report. `later`
    has as much for each of them whose last report came later: its place in `exact`, and how many seconds later. `whole`
    are the others: how many days lie between, how many there are, and so on.
    """

    status: int
    key: int
    source: int
    version: int
    received: bool
    country: int
    ip: int
    claim: int
    first: int
    exact: bytes
    later: bytes
    whole: list[int]


class _State2(msgspec.Struct, array_like=True):
    """A state on the wire: each different text and key once."""

    values: list[str | int]
    seen: list[_Days]
    since: dict[str, int]


class _State1(msgspec.Struct, array_like=True):
    """A state as the first format had it: each report once, with the places from which it came."""

    format: int
    said: list[tuple[Report, list[tuple[str, str, Days]]]]
    since: dict[str, int]


_decoder1, _decoder2 = msgspec.msgpack.Decoder(_State1), msgspec.msgpack.Decoder(_State2)


def decoded1(encoded: bytes) -> State:
    """Return a state of the first format. Raises `MsgspecError`."""
    found = _decoder1.decode(encoded)
    return State(
        {(report, _place(*place)): days for report, places in found.said for *place, days in places}, found.since
    )


def decoded2(encoded: bytes) -> State:
    """Return a state of the second format. Raises `MsgspecError`, `IndexError`, `ValueError` or `struct.error`."""
    found = _decoder2.decode(encoded)
    values: Any = found.values
    seen: dict[tuple[Report, Place], Days] = {}
    for each in found.seen:
        report = Report(
            values[each.status],
            values[each.key],
            values[each.source],
            values[each.version],
            each.received,
            values[each.country],
        )
        said = report, _place(values[each.ip], values[each.claim])
        seen[said] = seen.get(said, {}) | _unpacked(each)
    return State(seen, found.since)


def _unpacked(packed: _Days) -> Days:
    words = unpack(f"<{len(packed.exact) // 4}I", packed.exact)
    days = {packed.first + (word >> TIME_BITS): word % (1 << TIME_BITS) for word in words}
    for word in unpack(f"<{len(packed.later) // 4}I", packed.later):
        days[packed.first + (words[word >> TIME_BITS] >> TIME_BITS)] += word % (1 << TIME_BITS) * DAY
    day = packed.first
    for gap, length in zip(packed.whole[::2], packed.whole[1::2], strict=True):
        days.update(dict.fromkeys(range(day + gap, day + gap + length), SOME_TIME))
        day += gap + length
    return days


def _place(ip: str, claim: str) -> Place:
    return Place(ip, claim) if ip or claim else NOWHERE
