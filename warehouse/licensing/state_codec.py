"""Seals the state of a module on an install: encodes, pads and encrypts it (AES-256-GCM), and reads it again.

Each install and module has a key of its own, made from one key of the root secret: nobody can pass the state of one
install off as that of another, and no key encrypts more messages than random nonces allow.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Iterator
from struct import pack, unpack
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.home import STATES, derive
from warehouse.errors import EngineError
from warehouse.licensing.states import DAY, NOWHERE, SOME_TIME, Days, Place, Report, State

NONCE, LENGTH = 12, 4  # bytes
# The size shows roughly how often the reports of an install have changed. From 1 KiB on this exposes nobody, also after
# 13 months; from 512 bytes on it exposed 4 installs of 100 (`tests/bench/sealed_state.py`).
LEAST = 1024
# The state of a batch, of which all have about the same size. At 10 million reports a day, 1 KiB each would be 10 GB.
LEAST_OF_BATCH = 256
# A day and a time of it in a number of 32 bits.
TIME_BITS = 17
MOST_DAYS = 1 << 32 - TIME_BITS


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


class _State(msgspec.Struct, array_like=True):
    """A state on the wire: each different text and key once."""

    values: list[str | int]
    seen: list[_Days]
    since: dict[str, int]


class _State1(msgspec.Struct, array_like=True):
    """A state as the first format had it: each report once, with the places from which it came."""

    format: int
    said: list[tuple[Report, list[tuple[str, str, Days]]]]
    since: dict[str, int]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_State)
_decoder1 = msgspec.msgpack.Decoder(_State1)
# The first byte is the format. The first format had none: it began as an array of three does.
FORMAT, FORMAT1, NO_FORMAT = 2, 0x93, 0x80


class Unreadable(EngineError):
    """A sealed state cannot be read."""


class Newer(Unreadable):
    """A state was written by a newer version: whoever leaves it out would drop it."""


class OtherKey(Unreadable):
    """What is sealed is sealed under another key than that of this process, or is damaged."""


def encode(state: State) -> bytes:
    """Return a state as bytes. Equal states have equal bytes."""
    values: dict[str | int, int] = {}

    def number(value: str | int) -> int:
        return values.setdefault(value, len(values))

    seen = [
        _Days(
            number(report.status),
            number(report.key),
            number(report.source),
            number(report.version),
            report.received,
            number(report.country),
            number(place.ip),
            number(place.claim),
            *days,
        )
        for report, place in sorted(state.seen)
        for days in _packed(state.seen[report, place])
    ]
    return bytes([FORMAT]) + _encoder.encode(_State(list(values), seen, dict(sorted(state.since.items()))))


def _packed(days: Days) -> Iterator[tuple[int, bytes, bytes, list[int]]]:
    """Yield the days as `_Days` has them: once, unless they lie 90 years apart."""
    every = sorted(days.items())
    first = end = every[0][0]
    exact: list[int] = []
    later: list[int] = []
    whole: list[int] = []
    for place, (day, number) in enumerate(every):
        if number == SOME_TIME:
            if day == end and whole:
                whole[-1] += 1
            else:
                whole += (day - end, 1)
            end = day + 1
        elif day - first < MOST_DAYS:
            span, time = divmod(number, DAY)
            if span:
                later.append(len(exact) << TIME_BITS | span)
            exact.append(day - first << TIME_BITS | time)
        else:
            yield from _packed(dict(every[place:]))
            break
    yield first, pack(f"<{len(exact)}I", *exact), pack(f"<{len(later)}I", *later), whole


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


def decode(encoded: bytes) -> State:
    """Return the state that was encoded. Raises `Unreadable`."""
    first = encoded[0] if encoded else 0
    if FORMAT < first < NO_FORMAT:
        raise Newer("the state was written by a newer version")
    try:
        if first == FORMAT:
            return _decoded(_decoder.decode(encoded[1:]))
        if first == FORMAT1:
            return _decoded1(_decoder1.decode(encoded))
    except (msgspec.MsgspecError, IndexError, ValueError, struct.error):
        pass
    raise Unreadable("the state is damaged")


def _decoded(found: _State) -> State:
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


def _decoded1(found: _State1) -> State:
    return State(
        {(report, _place(*place)): days for report, places in found.said for *place, days in places}, found.since
    )


def _place(ip: str, claim: str) -> Place:
    return Place(ip, claim) if ip or claim else NOWHERE


class Seal:
    """Seals and unseals states with a key of 32 bytes (`Seal.of_root` makes it from the root secret)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_root(cls, root_secret: bytes) -> "Seal":
        """Return the seal with the key of a root secret."""
        return cls(derive(root_secret, STATES))

    def seal(self, module: str, install: int, state: State, least: int = LEAST) -> bytes:
        """Return the state of a module on an install, sealed: a nonce and the ciphertext, of at least `least` bytes."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher(module, install).encrypt(nonce, padded(encode(state), least), None)

    def unseal(self, module: str, install: int, sealed: bytes) -> State:
        """Return the state that was sealed for a module on an install. Raises `Unreadable`."""
        clear = self._opened(module, install, sealed)
        return decode(clear[LENGTH : LENGTH + int.from_bytes(clear[:LENGTH])])

    def opens(self, module: str, install: int, sealed: bytes) -> bool:
        """Return whether a state was sealed under this key."""
        try:
            self._opened(module, install, sealed)
        except OtherKey:
            return False
        return True

    @property
    def fingerprint(self) -> str:
        """A value that identifies the key without revealing it."""
        return derive(self._key, "fingerprint").hex()

    def _opened(self, module: str, install: int, sealed: bytes) -> bytes:
        try:
            return self._cipher(module, install).decrypt(sealed[:NONCE], sealed[NONCE:], None)
        except (InvalidTag, ValueError):
            raise OtherKey(
                "a state was sealed under another key, or is damaged: PHAROS_STATES_KEY must be set to what is in "
                "states.key in the home that filled the database"
            ) from None

    def _cipher(self, module: str, install: int) -> AESGCM:
        return AESGCM(hmac.digest(self._key, install.to_bytes(8) + module.encode(), hashlib.sha256))


def padded(encoded: bytes, least: int = LEAST) -> bytes:
    """Return the length, the bytes, and zeros up to a power of two of at least `least` bytes."""
    size = LENGTH + len(encoded)
    return len(encoded).to_bytes(LENGTH) + encoded + bytes(max(least, 1 << (size - 1).bit_length()) - size)
