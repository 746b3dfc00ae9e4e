"""A disk of some MiB (tmpfs), to be filled up and freed."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PIECE = 1 << 20


class SmallDisk:
    """What is mounted at `path`; somebody else's file takes the space."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    @property
    def free_bytes(self) -> int:
        """What is left for anybody."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Take all space but `leave` bytes, also what others free meanwhile."""
        with self._filler.open("ab") as file:
            while (more := self.free_bytes - leave) > 0:
                with contextlib.suppress(OSError):  # somebody else was faster, and this piece is given back
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, min(more, PIECE))

    def free(self) -> None:
        """Give the space back."""
        self._filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(path: Path, mib: int) -> Iterator[SmallDisk]:
    """Mount a disk of `mib` MiB at `path`; the test is skipped where nothing may be mounted."""
    path.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)]
    mounted = subprocess.run(mounting, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk has to be mounted, as root or under `unshare -rm`: {mounted.stderr.decode()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
