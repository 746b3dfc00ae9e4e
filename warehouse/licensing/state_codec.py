"""Seals the state of a module on an install: encodes, pads and encrypts it (AES-256-GCM), and reads it again.

Each install and module has a key of its own, made from one key of the root secret: nobody can pass the state of one
install off as that of another, and no key encrypts more messages than random nonces allow.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.home import STATES, derive
from warehouse.errors import EngineError
from warehouse.licensing import states_before
from warehouse.licensing.states import DAY, SOME_TIME, Days, Place, Report, State, first_time

NONCE, LENGTH = 12, 4  # bytes
# The size shows roughly how often the reports of an install have changed. The largest of 2,292 states of 13 months has
# 350 bytes, so that from 448 bytes on it exposes nobody (`tests/bench/sealed_state.py`).
LEAST = 448
# The state of a batch, of which all have about the same size. At 10 million reports a day, 1 KiB each would be 10 GB.
LEAST_OF_BATCH = 256


class _State(msgspec.Struct, array_like=True):
    """A state on the wire.

    `values` has each different text, key and address once. A number below is a place in it, a negative one in `KNOWN`.
    `seen` has for each report from a place: a mask, the values that differ from those of the report before (one for
    each bit of the mask but the lowest), how many days its first day is after that of the report before, and how many
    days its bits are about. `bits` begins with a 1. Then it has for each day: 0 for no report; 10 for one at some time;
    110 and its second of the day; 111, the second of the first report and how many seconds later the last one came.
    `since` has each status that was first reported before the days that are kept, and the second of it.
    """

    values: list[Any]
    seen: list[int]
    bits: bytes
    since: list[int]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_State)
# The first byte is the format. The first format had none: it began as an array of three does.
FORMAT, FORMAT2, FORMAT1, NO_FORMAT = 3, 2, 0x93, 0x80
# A new text goes to the end: what is sealed has its place.
KNOWN = ("", "licensed", "unlicensed", "trial", "expired", "suspended", "invalid", "unknown")
_known: dict[str | int | bytes, int] = {text: -1 - place for place, text in enumerate(KNOWN)}
# In the mask: that a connection delivered the report, and which values differ.
RECEIVED, *VALUES = (1 << bit for bit in range(8))
NO_REPORT, SOME_REPORT, ONE_TIME, TWO_TIMES = "0", "10", "110", "111"
SECONDS = 17  # bits of a second of the day
# A gap of more days begins new bits.
MOST_GAP = 100


class Unreadable(EngineError):
    """A sealed state cannot be read."""


class Newer(Unreadable):
    """A state was written by a newer version: whoever leaves it out would drop it."""


class OtherKey(Unreadable):
    """What is sealed is sealed under another key than that of this process, or is damaged."""


def encode(state: State) -> bytes:
    """Return a state as bytes. Equal states have equal bytes."""
    values: dict[str | int | bytes, int] = {}

    def number(value: str | int | bytes) -> int:
        return _known[value] if value in _known else values.setdefault(value, len(values))

    seen: list[int] = []
    bits = "1"
    before: Sequence[int | None] = [None] * len(VALUES)
    first = 0
    for report, place in sorted(state.seen):
        status, key, source, version, received, country = report
        ip, claim = _packed(place.ip), _packed(place.claim)
        now = [number(value) for value in (status, key, source, version, country, ip, claim)]
        for days in _near(state.seen[report, place]):
            day, last = days[0][0], days[-1][0]
            mask, changed = RECEIVED * received, []
            for value, old, bit in zip(now, before, VALUES, strict=True):
                if value != old:
                    mask |= bit
                    changed.append(value)
            seen += (mask, *changed, day - first, last - day + 1)
            bits += _bits(days)
            before, first = now, day
    since: list[int] = []
    for status, time in sorted(state.since.items() - _since(state.seen).items()):
        since += number(status), time
    return bytes([FORMAT]) + _encoder.encode(
        _State(list(values), seen, int(bits, 2).to_bytes((len(bits) + 7) // 8), since)
    )


def _near(days: Days) -> list[list[tuple[int, int]]]:
    """Return the days in order, those together that have no large gap between them."""
    every = sorted(days.items())
    if every[-1][0] - every[0][0] <= MOST_GAP:
        return [every]
    begins = [place for place in range(1, len(every)) if every[place][0] - every[place - 1][0] > MOST_GAP]
    return [every[begin:end] for begin, end in zip([0, *begins], [*begins, None], strict=True)]


def _bits(days: list[tuple[int, int]]) -> str:
    bits, expected = "", days[0][0]
    for day, number in days:
        if day != expected:
            bits += NO_REPORT * (day - expected)
        expected = day + 1
        if number == SOME_TIME:
            bits += SOME_REPORT
        elif number < DAY:
            bits += f"{ONE_TIME}{number:0{SECONDS}b}"
        else:
            later, second = divmod(number, DAY)
            bits += f"{TWO_TIMES}{second:0{SECONDS}b}{later:0{SECONDS}b}"
    return bits


def decode(encoded: bytes) -> State:
    """Return the state that was encoded. Raises `Unreadable`."""
    first = encoded[0] if encoded else 0
    if FORMAT < first < NO_FORMAT:
        raise Newer("the state was written by a newer version")
    try:
        if first == FORMAT:
            return _decoded(_decoder.decode(encoded[1:]))
        if first == FORMAT2:
            return states_before.decoded2(encoded[1:])
        if first == FORMAT1:
            return states_before.decoded1(encoded)
    except (msgspec.MsgspecError, IndexError, StopIteration, ValueError, struct.error):
        pass
    raise Unreadable("the state is damaged")


def _decoded(found: _State) -> State:
    values = [_unpacked(value) if isinstance(value, bytes) else value for value in found.values]
    values += reversed(KNOWN)
    text = f"{int.from_bytes(found.bits):b}"
    seen: dict[tuple[Report, Place], Days] = {}
    now: list[Any] = [None] * len(VALUES)
    numbers, at, first = iter(found.seen), 1, 0
    for mask in numbers:
        for place, bit in enumerate(VALUES):
            if mask & bit:
                now[place] = values[next(numbers)]
        status, key, source, version, country, ip, claim = now
        said = Report(status, key, source, version, bool(mask & RECEIVED), country), Place(ip, claim)
        days = seen.setdefault(said, {})
        first += next(numbers)
        at = _read(text, at, range(first, first + next(numbers)), days)
    earlier = {values[status]: time for status, time in zip(found.since[::2], found.since[1::2], strict=True)}
    return State(seen, _since(seen) | earlier)


def _since(seen: Mapping[tuple[Report, Place], Days]) -> dict[str, int]:
    """Return when each status was first reported, in seconds, by the days that are kept."""
    found: dict[str, int] = {}
    for (report, _), days in seen.items():
        time = first_time(days)
        found[report.status] = min(time, found.get(report.status, time))
    return found


def _read(text: str, at: int, about: range, days: Days) -> int:
    """Add the days that the bits from `at` on tell about, and return where the bits of the next report begin."""
    for day in about:
        if text[at] == "0":
            at += 1
        elif text[at + 1] == "0":
            days[day] = SOME_TIME
            at += 2
        else:
            end = at + 3 + SECONDS
            days[day] = int(text[at + 3 : end], 2)
            if text[at + 2] == "1":
                days[day] += int(text[end : end + SECONDS], 2) * DAY
                end += SECONDS
            at = end
    return at


def _packed(address: str) -> str | bytes:
    """Return an address as 4 or 16 bytes, or as it is if it would be read back as another text."""
    if not address:
        return address
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        packed = inet_pton(AF_INET6, address)
    except OSError:
        return address
    return packed if _unpacked(packed) == address else address


def _unpacked(packed: bytes) -> str:
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


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
    """Return the length, the bytes, and zeros up to `least` bytes, or to twice, four times, eight times as many."""
    size, room = LENGTH + len(encoded), least
    while room < size:
        room *= 2
    return len(encoded).to_bytes(LENGTH) + encoded + bytes(room - size)
