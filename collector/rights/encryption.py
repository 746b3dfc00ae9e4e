"""Sealed data: what only somebody who knows the install_id, or a ticket, can bring back (AES-256-GCM)."""

import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12  # bytes, random: far fewer than 2^32 messages under one key


def encrypt(key: bytes, value: Any) -> bytes:
    """`value` (anything that JSON holds) under a 32-byte key, with its nonce in front."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(value), None)


def decrypt(key: bytes, sealed: bytes) -> Any:
    """What was sealed under `key`. Raises `ValueError` for another key or damaged data."""
    try:
        return msgspec.json.decode(AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], None))
    except (InvalidTag, ValueError):
        raise ValueError("sealed under another key, or damaged") from None
