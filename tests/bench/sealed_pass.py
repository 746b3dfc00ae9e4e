"""What a pass over sealed license states costs: CPU seconds of one core for 200,000 installs.

    python -m tests.bench.sealed_pass [DAYS]

The states are in memory: what ClickHouse takes to read and to write them comes on top. Each install reported daily and
has one row from the pass before and one of the last day.
"""

import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from core.settings import Settings
from warehouse.licensing import state_facts
from warehouse.licensing.state_codec import LEAST_OF_BATCH, Seal
from warehouse.licensing.states import DAY, Place, Report, State, merged, of_report, trimmed

INSTALLS, PORTION, PORTIONS = 200_000, 2000, 5
MODULE = "module_1"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SEAL = Seal.of_root(b"nobody's")
took: dict[str, float] = defaultdict(float)


@contextmanager
def counted(step: str) -> Iterator[None]:
    """Add the CPU seconds of a step."""
    began = time.process_time()
    yield
    took[step] += time.process_time() - began


def state(number: int, days: int) -> State:
    """Return the state of an install that reported on each of the last days, with two updates and one address."""
    drawn = random.Random(number)
    return merged(
        of_report(
            int(NOW.timestamp()) - ago * DAY - drawn.randrange(3600),
            Report("licensed", number + 1, "whmcs-addon-modules", f"3.2.{ago * 3 // (days + 1)}", True, "DE"),
            Place(f"11.{number % 250}.1.9", ""),
        )
        for ago in range(days)
    )


def main() -> None:
    """Print the steps, one a line."""
    days, limits = int((*sys.argv[1:], "50")[0]), Settings()
    for portion in range(PORTIONS):
        numbers = range(portion * PORTION, (portion + 1) * PORTION)
        rows = [
            (number, SEAL.seal(MODULE, number, trimmed(state(number, days), NOW)), state(number, 1))
            for number in numbers
        ]
        with counted("seal the report of a day"):
            fresh = [SEAL.seal(MODULE, number, report, LEAST_OF_BATCH) for number, _, report in rows]
        with counted("unseal"):
            read = [
                [SEAL.unseal(MODULE, number, sealed), SEAL.unseal(MODULE, number, added)]
                for (number, sealed, _), added in zip(rows, fresh, strict=True)
            ]
        with counted("merge and trim"):
            whole = [trimmed(merged(parts), NOW) for parts in read]
        with counted("facts of the rules"):
            for number, each in zip(numbers, whole, strict=True):
                state_facts.install(MODULE, number, each, NOW, limits.cloned_networks, limits.cloned_days)
        with counted("seal"):
            for number, each in zip(numbers, whole, strict=True):
                SEAL.seal(MODULE, number, each)
    for step, seconds in took.items():
        print(f"{step:<26}{seconds * INSTALLS / PORTIONS / PORTION:>6.1f}")


if __name__ == "__main__":
    main()
