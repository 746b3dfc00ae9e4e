"""The posts of one client: a seeded stream of single beacons and batches, plain and gzip, new and repeated."""

import gzip
import json
import random
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.end_to_end.beacons import beacon

# A beacon's own date is believed for seven days; an hour's run must not carry the oldest over that edge.
DAYS = 5
INSTALLS = 40  # alive at a time in one client, each with several beacons
REMEMBERED = 400


@dataclass(frozen=True)
class Post:
    """A body with its headers, its new beacons, and the number of repeated ones."""

    body: bytes
    headers: dict[str, str]
    new: list[dict[str, Any]]
    old: int


class Stream:
    """The posts of one client, the same for the same seed except for the time of day.

    Its installs come and go. With a `fleet` their number is fixed and they stay.
    """

    def __init__(self, seed: str, fleet: int = 0) -> None:
        self._rng = random.Random(seed)
        self._turnover = 0.0 if fleet else 0.2
        self._installs = [self._uuid() for _ in range(fleet or INSTALLS)]
        self._answered: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)

    def post(self) -> Post:
        """Return the next post: one beacon, a batch, or a batch with repeated beacons."""
        rng = self._rng
        kind = rng.choices(("single", "batch", "with old ones", "old ones alone"), (4, 4, 2, 1))[0]
        old = rng.sample(self._answered, min(len(self._answered), rng.randint(1, 10))) if "old" in kind else []
        new = [] if old and kind == "old ones alone" else [self._beacon() for _ in range(rng.randint(1, 30))]
        if kind == "single":
            new = new[:1]
        beacons = [*new, *old]
        rng.shuffle(beacons)
        body = json.dumps(beacons[0] if kind == "single" else beacons).encode()
        if rng.random() < 0.4:
            return Post(gzip.compress(body, 1), {"Content-Encoding": "gzip"}, new, len(old))
        return Post(body, {}, new, len(old))

    def answered(self, post: Post) -> None:
        """Record that the beacons of a post were accepted. Later posts may repeat them."""
        self._answered.extend(post.new)

    def _beacon(self) -> dict[str, Any]:
        rng = self._rng
        if rng.random() < self._turnover:  # an install goes, another comes
            self._installs[rng.randrange(len(self._installs))] = self._uuid()
        return beacon(
            beacon_id=self._uuid(),
            install_id=rng.choice(self._installs),
            sent_at=(datetime.now(UTC) - timedelta(days=rng.random() * DAYS)).isoformat(),
            module={"name": rng.choice(("invoice_pro", "bulk_mailer")), "version": rng.choice(("3.2.1", "3.3.0"))},
            license={
                "status": rng.choices(("licensed", "trial", "unlicensed"), (6, 1, 1))[0],
                "source": rng.choice(("whmcs-addon-modules", "reseller")),
            },
            features={name: rng.randrange(4) for name in ("invoice.pdf_export", "bulk_email")},
        )

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
