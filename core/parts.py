"""Which parts of `pharos serve` do not run, told to the collector's `/readyz` and to `pharos doctor` by a file."""

import contextlib

import msgspec

from core.home import Home, put


class Down(msgspec.Struct, frozen=True):
    """A part that does not run or does not answer: its command, since when (epoch seconds), how its process ended."""

    part: str
    since: int
    why: str


def note(home: Home, down: list[Down]) -> None:
    """Tell what does not run. On a disk that takes no more, nothing is told."""
    with contextlib.suppress(OSError):
        put(home.parts, msgspec.json.encode(down))


def forget(home: Home) -> None:
    """Remove the file: `pharos serve` ends."""
    home.parts.unlink(missing_ok=True)


def down(home: Home) -> list[Down]:
    """What does not run, as `pharos serve` says; nothing where it does not run itself."""
    if not home.is_locked("serve"):
        return []
    try:
        return msgspec.json.decode(home.parts.read_bytes(), type=list[Down])
    except (OSError, msgspec.DecodeError):
        return []
