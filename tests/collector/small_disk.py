"""A small disk (tmpfs) that tests fill and free."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PIECE = 1 << 20


class SmallDisk:
    """The disk mounted at `path`, with a file that takes up its space."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    @property
    def free_bytes(self) -> int:
        """Return the free space."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def fill(self, leave: int = 0) -> None:
        """Fill the disk up to `leave` bytes, including space that others free meanwhile."""
        with self._filler.open("ab") as file:
            while (more := self.free_bytes - leave) > 0:
                with contextlib.suppress(OSError):  # somebody else was faster, and this piece is given back
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, min(more, PIECE))

    def free(self) -> None:
        """Free the space again."""
        self._filler.unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(path: Path, mib: int) -> Iterator[SmallDisk]:
    """Mount a disk of `mib` MiB at `path`. Skips the test where mounting is not permitted."""
    path.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path)]
    mounted = subprocess.run(mounting, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk has to be mounted, as root or under `unshare -rm`: {mounted.stderr.decode()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
