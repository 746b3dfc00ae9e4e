"""The pseudonym of a license key in the license plane: a keyed hash of its `key_hash`."""

import hashlib
import hmac

from core.home import derive


class LicenseKeys:
    """Makes pseudonyms with a key of the root secret."""

    def __init__(self, root_secret: bytes) -> None:
        self._key = derive(root_secret, "license key")

    def pseudonym(self, key_hash: str) -> int:
        """Return the pseudonym of a `key_hash` (64 hexadecimal digits): 64 bits, never 0."""
        return int.from_bytes(hmac.digest(self._key, bytes.fromhex(key_hash), "sha256")[:8]) or 1


def key_hash(key: str) -> str:
    """Return the `key_hash` that a module sends for a license key."""
    return hashlib.sha256(key.encode()).hexdigest()
