"""Encrypts data under a key from an install_id or a ticket. Only its holder can decrypt it (AES-256-GCM)."""

import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = 12  # bytes, random: far fewer than 2^32 messages under one key


def encrypt(key: bytes, value: Any) -> bytes:
    """Encrypt `value` (any JSON value) under a 32-byte key; returns the nonce and the ciphertext."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, msgspec.json.encode(value), None)


def decrypt(key: bytes, sealed: bytes) -> Any:
    """Return the value that was encrypted under `key`. Raises `ValueError` for another key or damaged data."""
    try:
        return msgspec.json.decode(AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], None))
    except (InvalidTag, ValueError):
        raise ValueError("encrypted under another key, or damaged") from None
