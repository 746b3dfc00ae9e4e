"""A file that lists the parts of `pharos serve` that are down, for the collector's `/readyz` and `pharos doctor`."""

import contextlib

import msgspec

from core.home import Home, put


class Down(msgspec.Struct, frozen=True):
    """A part that does not run or respond: its command, since when (epoch seconds), how its process ended."""

    part: str
    since: int
    why: str


def note(home: Home, down: list[Down]) -> None:
    """Write the parts that are down. Writes nothing on a full disk."""
    with contextlib.suppress(OSError):
        put(home.parts, msgspec.json.encode(down))


def forget(home: Home) -> None:
    """Remove the file when `pharos serve` ends."""
    home.parts.unlink(missing_ok=True)


def down(home: Home) -> list[Down]:
    """Return the parts that are down according to `pharos serve`, nothing if `pharos serve` does not run."""
    if not home.is_locked("serve"):
        return []
    try:
        return msgspec.json.decode(home.parts.read_bytes(), type=list[Down])
    except (OSError, msgspec.DecodeError):
        return []
