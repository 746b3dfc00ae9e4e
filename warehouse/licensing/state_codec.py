"""Seals the state of a module on an install: encodes, pads and encrypts it (AES-256-GCM), and reads it again.

Each install and module has a key of its own, made from one key of the root secret: nobody can pass the state of one
install off as that of another, and no key encrypts more messages than random nonces allow.
"""

import hashlib
import hmac
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.home import STATES, derive
from warehouse.errors import EngineError
from warehouse.licensing.states import NOWHERE, Days, Place, Report, State

FORMAT = 1
NONCE, LENGTH = 12, 4  # bytes
# The size shows roughly on how many days an install has reported. From 2 KiB on this exposes nobody, also after 13
# months; from 1 KiB on it exposed 7 installs of 100 (`tests/bench/sealed_state.py`).
LEAST = 2048
# The state of a batch, of which all have about the same size. At 10 million reports a day, 2 KiB each would be 20 GB.
LEAST_OF_BATCH = 256


class _State(msgspec.Struct, array_like=True):
    """A state on the wire: each report once, with the places from which it came."""

    format: int
    said: list[tuple[Report, list[tuple[str, str, Days]]]]
    since: dict[str, int]


_encoder, _decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_State)


class Unreadable(EngineError):
    """A sealed state cannot be read."""


def encode(state: State) -> bytes:
    """Return a state as bytes. Equal states have equal bytes."""
    said: dict[Report, list[tuple[str, str, Days]]] = {}
    for report, place in sorted(state.seen):
        days = state.seen[report, place]
        said.setdefault(report, []).append((*place, dict(sorted(days.items()))))
    return _encoder.encode(_State(FORMAT, list(said.items()), dict(sorted(state.since.items()))))


def decode(encoded: bytes) -> State:
    """Return the state that was encoded. Raises `Unreadable`."""
    try:
        found = _decoder.decode(encoded)
    except msgspec.MsgspecError:
        raise Unreadable("the state is damaged") from None
    if found.format != FORMAT:
        raise Unreadable("the state was written by a newer version")
    seen = {}
    for report, places in found.said:
        for ip, claim, days in places:
            seen[report, Place(ip, claim) if ip or claim else NOWHERE] = days
    return State(seen, found.since)


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
        try:
            clear = self._cipher(module, install).decrypt(sealed[:NONCE], sealed[NONCE:], None)
        except (InvalidTag, ValueError):
            raise Unreadable(
                "a state was sealed under another key, or is damaged: PHAROS_STATES_KEY must be set to what is in "
                "states.key in the collector's home"
            ) from None
        return decode(clear[LENGTH : LENGTH + int.from_bytes(clear[:LENGTH])])

    def _cipher(self, module: str, install: int) -> AESGCM:
        return AESGCM(hmac.digest(self._key, install.to_bytes(8) + module.encode(), hashlib.sha256))


def padded(encoded: bytes, least: int = LEAST) -> bytes:
    """Return the length, the bytes, and zeros up to a power of two of at least `least` bytes."""
    size = LENGTH + len(encoded)
    return len(encoded).to_bytes(LENGTH) + encoded + bytes(max(least, 1 << (size - 1).bit_length()) - size)
