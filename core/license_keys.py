"""The pseudonym of a license key in the license plane: a keyed hash of its `key_hash`."""

import hashlib

from core.home import derive
from core.keyed_hash import KeyedHash


class LicenseKeys:
    """Makes pseudonyms with a key of the root secret."""

    def __init__(self, root_secret: bytes) -> None:
        self._key = KeyedHash(derive(root_secret, "license key"))

    def pseudonym(self, key_hash: str) -> int:
        """Return the pseudonym of a `key_hash` (64 hexadecimal digits): 64 bits, never 0."""
        return self._key.pseudonym(bytes.fromhex(key_hash))


def key_hash(key: str) -> str:
    """Return the `key_hash` that a module sends for a license key."""
    return hashlib.sha256(key.encode()).hexdigest()
