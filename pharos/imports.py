"""`pharos import`: import beacons from NDJSON through the same validation and spool as posted beacons."""

import gzip
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from collector.ingestion import Ingestion
from collector.planes import Planes, sent_year
from collector.request_body import LIMIT
from collector.rights.install_states import InstallStates
from collector.spool import Group, Spool, Unavailable, check_clock
from collector.validate import BOM, Reason, Rejected, decode, validate
from core.catalog import Catalog, Kind
from core.home import Home

BATCH = 500
FULL_SECONDS = 5.0
# The years that every table can store: a DateTime ends in February 2106, and a row is kept for 13 months.
YEARS = range(1971, 2105)


@dataclass
class Counts:
    """The outcomes of the lines read so far. `undeclared` counts the values that were removed from stored lines."""

    imported: int = 0
    duplicates: int = 0
    rejected: int = 0
    undeclared: Counter[Kind] = field(default_factory=Counter)


def open_lines(name: str) -> IO[bytes]:
    """Open a file's bytes: `-` is standard input. Decompresses gzip, whatever the file's name."""
    file: Any = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - the caller closes it
    lines: Any = gzip.open(file) if file.peek(2)[:2] == b"\x1f\x8b" else file  # noqa: SIM115
    return lines  # type: ignore[no-any-return]


class Importer:
    """Stores beacons in commits of `BATCH`. Waits while the disk is too full, and never drops a beacon."""

    def __init__(self, planes: Planes, home: Home, catalog: Callable[[], Catalog]) -> None:
        self.counts = Counts()
        self._spool = Spool(home.spool)
        self._install_states = InstallStates(home.spool)
        self._ingestion = Ingestion(planes, self._install_states, catalog)
        self._batch: list[tuple[int, dict[str, Any]]] = []
        self._reject: Callable[[int, Rejected], None] = lambda number, rejected: None

    def close(self) -> None:
        """Close the spool. Beacons that were not flushed are not stored."""
        self._spool.close()
        self._install_states.close()

    def lines(self, lines: IO[bytes], reject: Callable[[int, Rejected], None], progress: Callable[[int], None]) -> None:
        """Store every beacon of `lines`. Calls `reject` with the number of each invalid line.

        Calls `progress` with the bytes of each line.
        """
        self._reject = reject
        try:
            for number, line in enumerate(_bounded_lines(lines), 1):
                progress(len(line))
                if not line.removeprefix(BOM).strip():
                    continue
                try:
                    if len(line.rstrip(b"\r\n")) > LIMIT:
                        raise Rejected(Reason.BODY_TOO_LARGE, detail=f"a line must be at most {LIMIT} bytes")
                    self.beacon(decode(line), number)
                except Rejected as rejected:
                    self._refuse(number, rejected)
        finally:
            self.flush()  # also store the lines before a damaged part of a file

    def beacon(self, value: Any, number: int = 0) -> None:
        """Store one beacon, at the latest with the next flush. Raises `Rejected`."""
        beacon = validate(value)
        if sent_year(beacon) not in YEARS:
            raise Rejected(Reason.OUT_OF_RANGE, "sent_at", f"must be between {YEARS.start} and {YEARS.stop - 1}")
        self._batch.append((number, beacon))
        if len(self._batch) >= BATCH:
            self.flush()

    def _refuse(self, number: int, rejected: Rejected) -> None:
        self.counts.rejected += 1
        self._reject(number, rejected)

    def flush(self) -> None:
        """Write the collected beacons to disk."""
        while self._batch:
            now = datetime.now(UTC)
            processed, basis = self._ingestion.process([beacon for _, beacon in self._batch], "", now, keep_date=True)
            rows = [each.row for each in processed if each.row]
            try:
                check_clock(now.timestamp())
                self._spool.check_space()
                (fresh,) = self._spool.store_groups([Group(rows, basis=basis)], time.time())
            except Unavailable as error:
                print(f"waiting: {error}", file=sys.stderr)
                time.sleep(FULL_SECONDS)
                continue
            if not isinstance(fresh, list):  # an owner's decision arrived meanwhile
                self._ingestion.refresh()
                continue
            self.counts.imported += sum(fresh)
            self.counts.duplicates += len(fresh) - sum(fresh)
            for each, new in zip((each for each in processed if each.row), fresh, strict=True):
                if new:
                    self.counts.undeclared.update(each.dropped)
            for (number, _), each in zip(self._batch, processed, strict=True):
                if each.undeclared:
                    why = Rejected(Reason.UNDECLARED, "module.name", "the catalog does not declare this module")
                    self._refuse(number, why)
                elif each.row is None:
                    self._refuse(
                        number, Rejected(Reason.OBJECTED, detail="the owner objects, or had the install erased")
                    )
            self._batch.clear()


def _bounded_lines(lines: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines. Of a line that is longer than any beacon, yield only enough to detect that."""
    most = LIMIT + 2  # with its line end
    while line := lines.readline(most):
        yield line
        while not line.endswith(b"\n") and len(line) == most:
            line = lines.readline(most)
