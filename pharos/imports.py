"""`pharos import`: back-fill beacons from NDJSON through the same validation and the same spool as posted ones."""

import gzip
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from collector.body import LIMIT
from collector.planes import Planes, encode
from collector.spool import Row, Spool, Unavailable
from collector.validate import Reason, Rejected, decode, validate

BATCH = 500
FULL_SECONDS = 5.0
# What a ClickHouse Date can hold, less a year at each end.
YEARS = range(1971, 2149)


@dataclass
class Counts:
    """What became of the lines read so far."""

    imported: int = 0
    duplicates: int = 0
    rejected: int = 0


def open_lines(name: str) -> IO[bytes]:
    """A file's bytes: `-` is standard input, gzip is unpacked whatever the file is called."""
    file: Any = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - the caller closes it
    lines: Any = gzip.open(file) if file.peek(2)[:2] == b"\x1f\x8b" else file  # noqa: SIM115
    return lines  # type: ignore[no-any-return]


class Importer:
    """Stores beacons in commits of `BATCH`, waits while the disk is too full, and never gives one up."""

    def __init__(self, planes: Planes, spool: Spool) -> None:
        self.counts = Counts()
        self._planes, self._spool = planes, spool
        self._batch: list[Row] = []

    def lines(self, lines: IO[bytes], reject: Callable[[int, Rejected], None], progress: Callable[[int], None]) -> None:
        """Store every beacon of `lines`; a line that is none goes to `reject` with its number.

        `progress` is told the bytes of each line.
        """
        try:
            for number, line in enumerate(_bounded(lines), 1):
                progress(len(line))
                if not line.strip():
                    continue
                try:
                    if len(line.rstrip(b"\r\n")) > LIMIT:
                        raise Rejected(Reason.BODY_TOO_LARGE, detail=f"a line must be at most {LIMIT} bytes")
                    self.beacon(decode(line))
                except Rejected as rejected:
                    self.counts.rejected += 1
                    reject(number, rejected)
        finally:
            self.flush()  # also what was read before a file turned out to be broken

    def beacon(self, value: Any) -> None:
        """Store one beacon, with the next flush at the latest. Raises `Rejected`."""
        split = self._planes.split(validate(value), "", datetime.now(UTC), keep_date=True)
        if int(split.usage["day"][:4]) not in YEARS:
            raise Rejected(Reason.OUT_OF_RANGE, "sent_at", f"must be between {YEARS.start} and {YEARS.stop - 1}")
        self._batch.append(Row(split.seen, encode(split.usage), encode(split.license)))
        if len(self._batch) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Put what is gathered on disk."""
        while self._batch:
            try:
                self._spool.check_space()
                fresh = self._spool.store(self._batch, time.time())
            except Unavailable as error:
                print(f"waiting: {error}", file=sys.stderr)
                time.sleep(FULL_SECONDS)
                continue
            self.counts.imported += sum(fresh)
            self.counts.duplicates += len(fresh) - sum(fresh)
            self._batch.clear()


def _bounded(lines: IO[bytes]) -> Iterator[bytes]:
    """The lines, and of one that is longer than any beacon only as much as shows that."""
    most = LIMIT + 2  # with its line end
    while line := lines.readline(most):
        yield line
        while not line.endswith(b"\n") and len(line) == most:
            line = lines.readline(most)
