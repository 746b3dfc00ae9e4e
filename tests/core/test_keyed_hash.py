"""The keyed hash against the standard library's HMAC."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from core.keyed_hash import KeyedHash


@given(st.binary(max_size=64), st.binary(max_size=200), st.binary(max_size=200))
def test_it_is_hmac_sha256(key: bytes, first: bytes, second: bytes) -> None:
    """Also for a second message, so that the first leaves nothing behind."""
    keyed = KeyedHash(key)
    for message in (first, second, first):
        assert keyed.digest(message) == hmac.digest(key, message, "sha256")
        assert keyed.pseudonym(message) == int.from_bytes(hmac.digest(key, message, "sha256")[:8])
