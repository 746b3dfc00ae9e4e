"""A file of `pharos serve` with the addresses of its parts, and which of them are down.

The collector's `/readyz` and `pharos doctor` read it.
"""

import contextlib

import msgspec

from core.home import Home, put
from core.settings import Bind, Settings, bind


class Down(msgspec.Struct, frozen=True):
    """A part that does not run or respond: its command, since when (epoch seconds), how its process ended."""

    part: str
    since: int
    why: str


class _Noted(msgspec.Struct, frozen=True):
    addresses: dict[str, str]
    down: list[Down]


def note(home: Home, addresses: dict[str, Bind], down: list[Down]) -> None:
    """Write the address of each part that has one, and the parts that are down. Writes nothing on a full disk."""
    with contextlib.suppress(OSError):
        put(home.parts, msgspec.json.encode(_Noted({part: str(bind) for part, bind in addresses.items()}, down)))


def forget(home: Home) -> None:
    """Remove the file when `pharos serve` ends."""
    home.parts.unlink(missing_ok=True)


def down(home: Home) -> list[Down]:
    """Return the parts that are down according to `pharos serve`, nothing if `pharos serve` does not run."""
    return _noted(home).down


def addresses(home: Home, settings: Settings) -> dict[str, Bind]:
    """Return where collector and dashboard listen: as `pharos serve` was started, else as the settings say."""
    noted = {part: bind(address) for part, address in _noted(home).addresses.items()}
    return {"collector": settings.collector_bind, "dashboard": settings.dashboard_bind, **noted}


def _noted(home: Home) -> _Noted:
    nothing = _Noted({}, [])
    if not home.is_locked("serve"):
        return nothing
    try:
        return msgspec.json.decode(home.parts.read_bytes(), type=_Noted)
    except (OSError, msgspec.DecodeError):
        return nothing
