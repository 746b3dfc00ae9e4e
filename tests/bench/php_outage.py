"""What a week of outage costs pages and the cron: every kind of outage, 20 counts a page, the cron four times a day.

Run alone: `python -m tests.bench.php_outage`. It needs php-cli; nothing else of Pharos runs.
"""

import tempfile
from pathlib import Path

from tests.bench.php_page import COUNTS, difference, pages, seconds, served
from tests.client_php.outages import OUTAGES, away
from tests.client_php.paper import DAY, Host, paper_collector

RUN = "$t = hrtime(true); $s = $client->tick()->status(); echo json_encode([$s, (hrtime(true) - $t) / 1e9]);"


def main() -> None:
    """Print for each outage the longest run of the cron, and what a page costs more than the same page without."""
    for outage in OUTAGES:
        with tempfile.TemporaryDirectory() as name, paper_collector() as collector:
            folder = Path(name)
            host = Host(collector.url, folder, module="m")
            host.tick()
            longest, failed = 0.0, 0
            with away(host, collector, outage):
                pages(folder, host.url)
                with served(folder, opcache=True) as connection:
                    for _ in range(7):
                        seconds(connection, "counting")
                        for _ in range(4):
                            host.sleep(DAY // 4)
                            status, took = host.run(RUN)
                            longest, failed = max(longest, took), failed + (status == "failed")
                    slower = difference(connection, "counting")
            assert failed >= 7, (outage, failed)
        print(
            f"{outage}: longest run of the cron {longest:.2f} s of 28, {COUNTS} counts slow a page by {slower:.2f} ms"
        )


if __name__ == "__main__":
    main()
