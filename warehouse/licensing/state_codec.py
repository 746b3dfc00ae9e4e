"""Seals the state of a module on an install: encodes, pads and encrypts it (AES-256-GCM), and reads it again.

Each install and module has a key of its own, made from one key of the root secret: nobody can pass the state of one
install off as that of another, and no key encrypts more messages than random nonces allow.
"""

import hashlib
import hmac
import os
from itertools import accumulate, pairwise

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.home import derive
from warehouse.licensing.states import DAY, Days, Place, Report, State

FORMAT = 1
NONCE, LENGTH = 12, 4  # bytes
# The size shows roughly on how many days an install has reported, so small states have all the same.
LEAST = 1024
PURPOSE = "license states"


class _Days(msgspec.Struct, array_like=True):
    """The days of a report from a place: the seconds from each first time to the next, and from first to last."""

    ip: str
    claim: str
    steps: list[int]
    spans: list[int]


class _Said(msgspec.Struct, array_like=True):
    status: str
    key: int
    source: str
    version: str
    received: bool
    country: str
    places: list[_Days]


class _State(msgspec.Struct, array_like=True):
    format: int
    said: list[_Said]
    since: dict[str, int]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_State)


class Unreadable(Exception):
    """A sealed state cannot be read."""


def encode(state: State) -> bytes:
    """Return a state as bytes. Equal states have equal bytes."""
    said: dict[Report, _Said] = {}
    for report, place in sorted(state.seen):
        times = sorted(state.seen[report, place].values())
        firsts = [first for first, _ in times]
        steps = [firsts[0], *(after - before for before, after in pairwise(firsts))]
        spans = [last - first for first, last in times]
        said.setdefault(report, _Said(*report, [])).places.append(_Days(*place, steps, spans))
    return _encoder.encode(_State(FORMAT, list(said.values()), dict(sorted(state.since.items()))))


def decode(encoded: bytes) -> State:
    """Return the state that was encoded. Raises `Unreadable`."""
    try:
        found = _decoder.decode(encoded)
    except msgspec.MsgspecError:
        raise Unreadable("the state is damaged") from None
    if found.format != FORMAT:
        raise Unreadable("the state was written by a newer version")
    seen: dict[tuple[Report, Place], Days] = {}
    for each in found.said:
        report = Report(each.status, each.key, each.source, each.version, each.received, each.country)
        for days in each.places:
            seen[report, Place(days.ip, days.claim)] = {
                first // DAY: (first, first + span)
                for first, span in zip(accumulate(days.steps), days.spans, strict=True)
            }
    return State(seen, found.since)


class Seal:
    """Seals and unseals states with a key of 32 bytes (`Seal.of_root` makes it from the root secret)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_root(cls, root_secret: bytes) -> "Seal":
        """Return the seal with the key of a root secret."""
        return cls(derive(root_secret, PURPOSE))

    def seal(self, module: str, install: int, state: State) -> bytes:
        """Return the state of a module on an install, sealed: a nonce and the ciphertext."""
        nonce = os.urandom(NONCE)
        return nonce + self._cipher(module, install).encrypt(nonce, padded(encode(state)), None)

    def unseal(self, module: str, install: int, sealed: bytes) -> State:
        """Return the state that was sealed for a module on an install. Raises `Unreadable`."""
        try:
            clear = self._cipher(module, install).decrypt(sealed[:NONCE], sealed[NONCE:], None)
        except (InvalidTag, ValueError):
            raise Unreadable("the state was sealed under another key, or is damaged") from None
        return decode(clear[LENGTH : LENGTH + int.from_bytes(clear[:LENGTH])])

    def _cipher(self, module: str, install: int) -> AESGCM:
        return AESGCM(hmac.digest(self._key, install.to_bytes(8) + module.encode(), hashlib.sha256))


def padded(encoded: bytes) -> bytes:
    """Return the length, the bytes, and zeros up to a power of two of at least `LEAST` bytes."""
    size = LENGTH + len(encoded)
    return len(encoded).to_bytes(LENGTH) + encoded + bytes(max(LEAST, 1 << (size - 1).bit_length()) - size)
