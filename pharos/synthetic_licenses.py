"""The licenses of the demonstration: the vendor's registry, a key that leaked, and one that was revoked.

Installs keep their keys, except for some of one module, which all use the key that leaked.
"""

from collections.abc import Iterator
from typing import Any

from core.license_keys import key_hash

# What a customer of the demonstration has. A licensing team finds both in its own system.
LEAKED, LEAKED_MODULE, HOLDERS = "DEMO-LEAKED-KEY", "invoice_pro", 7
REVOKED, REVOKED_MODULE = "DEMO-REVOKED-KEY", "domain_tools"
_STATES = {"licensed": "active", "expired": "expired", "suspended": "suspended"}


class Licenses:
    """Gives installs the two keys, and notes the keys of customers for the registry."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}  # by module and install
        self._states: dict[tuple[str, str], str] = {}  # by module and key_hash

    def applied(self, beacon: dict[str, Any]) -> dict[str, Any]:
        """Return the beacon with the key that its install uses in the demonstration."""
        module, license = beacon["module"]["name"], beacon["license"]
        pair = module, beacon["install_id"]
        if license["status"] == "licensed" and pair not in self._given and (key := self._next(module)):
            self._given[pair] = key
        if pair in self._given:
            license = {**license, "status": "licensed", "key_hash": key_hash(self._given[pair])}
        if (hashed := license.get("key_hash")) and (state := _STATES.get(license["status"])):
            self._states[module, hashed] = state
        return {**beacon, "license": license}

    def _next(self, module: str) -> str:
        """Return the key for one more install of a module, "" if it keeps its own."""
        given = [name for name, _ in self._given]
        if module == LEAKED_MODULE and given.count(module) < HOLDERS:
            return LEAKED
        return REVOKED if module == REVOKED_MODULE and module not in given else ""

    def registry(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the registry: each key for one install and one copy."""
        for (module, hashed), state in self._states.items():
            state = "revoked" if hashed == key_hash(REVOKED) else state
            yield {"key_hash": hashed, "module": module, "state": state, "max_installs": 1}
