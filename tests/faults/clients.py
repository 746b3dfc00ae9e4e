"""Clients that post like SDKs: they retry the same body with growing delays until a 202."""

import random
import time
from collections import Counter
from http.client import HTTPException

from tests.end_to_end.system import System, wait_for
from tests.faults.background import Background
from tests.faults.stream import Post, Stream
from tests.faults.verdict import Answered, ledger, planes_of

CLIENTS = 6
BACKOFF_SECONDS = (0.05, 1.0)


class Clients(Background):
    """Threads that post, and the beacons that were accepted.

    `pause` is the average wait of each between two posts: 6 clients with 0.1 s send about 500 beacons per second.
    `fleet` is the fleet of the streams.
    """

    def __init__(self, system: System, seed: object, pause: float = 0.1, fleet: int = 0) -> None:
        super().__init__(f"{seed} client {n}" for n in range(CLIENTS))
        self.ledger: list[Answered] = []  # beacons that were answered 202, each once
        self.posts: Counter[str] = Counter()
        self.wrong: list[str] = []  # answers that nobody should get
        self._system = system
        self._planes = planes_of(system)
        self._pause, self._fleet = pause, fleet

    def wait_for_more(self, beacons: int = 50) -> None:
        """Wait until `count` more beacons are accepted."""
        enough = len(self.ledger) + beacons
        wait_for(lambda: len(self.ledger) > enough, "beacons to come in", 120)

    def _run(self, seed: str) -> None:
        stream, rng = Stream(seed, self._fleet), random.Random(seed)
        while not self._stop.wait(rng.expovariate(1 / self._pause)):
            post = stream.post()
            wait, repeated = BACKOFF_SECONDS[0], False
            while not self._send(post, repeated):
                repeated = True
                time.sleep(wait * rng.uniform(0.5, 1.5))
                wait = min(wait * 2, BACKOFF_SECONDS[1])
            stream.answered(post)

    def _send(self, post: Post, repeated: bool) -> bool:
        """Post a body; return whether the status is 202. Other statuses than 503 and wrong counts are recorded."""
        try:
            status, answer = self._system.post(post.body, **post.headers)
        except (OSError, ValueError, HTTPException):
            status, answer = 0, None
        with self._lock:
            self.posts["202" if status == 202 else "503" if status == 503 else "no answer"] += 1
            if status not in (0, 202, 503):
                self.wrong.append(f"status {status}: {answer}")
            if status != 202:
                return False
            # A post that got no answer may have been stored all the same: then all in it are duplicates.
            possible = [(len(post.new), post.old)] + [(0, len(post.new) + post.old)] * repeated
            if (answer["accepted"], answer["duplicates"]) not in possible or answer["rejected"]:
                self.wrong.append(f"{len(post.new)} new and {post.old} old beacons: {answer}")
            self.ledger += ledger(self._planes, post.new)
        return True
