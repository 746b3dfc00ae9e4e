"""How long the desk takes with 100,000 cases: its list, filters, file, a case, and the trends.

`python -m tests.bench.cases [CASES]` fills an embedded engine in a temporary folder, and prints the least wall
time and the least CPU time of several answers, in milliseconds. Other work on the machine changes the CPU time less.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.access_log import AccessLog
from core.credentials import Credentials, Role
from core.home import Home
from core.license_keys import LicenseKeys
from core.settings import Settings
from dashboard.case_file import MOST, csv_of
from dashboard.casework import Casework, Person
from tests.bench.installs import fill_states, measure
from warehouse.engine import Engine
from warehouse.migrate import migrate

CASES = 100_000
DAYS = 20  # with a report of each install
PERSON = Person("ada", Role.LICENSING)
# Four fifths of the cases are about an install, the others about a key that five installs share.
_INSTALLS = """
INSERT INTO license_flags SELECT concat('mod_', toString(number % 7)), cityHash64(number),
    ['unlicensed', 'unknown_key', 'lapsed', 'cloned_install'][1 + number % 4], 1, 'raised',
    now() - number % 86400, now() - INTERVAL number % 90 DAY, now() - INTERVAL intDiv(number % 90, 2) DAY, 0,
    ['notice', 'warning', 'critical'][1 + number % 3],
    ['claimed', 'registry', 'recorded'][1 + intDiv(number, 3) % 3], 1, 'evidence',
    '[{"text": "evidence", "grade": "recorded"}]', 'the evidence holds' FROM numbers({installs})
"""
_KEYS = """
INSERT INTO license_flags SELECT concat('mod_', toString(intDiv(number, 5) % 7)), cityHash64(number, 1), 'shared_key',
    1, 'raised', now() - intDiv(number, 5) % 86400, now() - INTERVAL intDiv(number, 5) % 90 DAY, now(),
    cityHash64(intDiv(number, 5)), 'critical', 'recorded', 6, 'evidence', '[]', 'the evidence holds'
FROM numbers({keys} * 5)
"""
_DECISIONS = """
INSERT INTO license_cases SELECT concat('mod_', toString(number % 7)), cityHash64(number), 0, 1, now(), 'ada',
    'changed', ['open', 'dismissed', 'contacted', 'resolved'][1 + number % 4], ['ada', 'bob', ''][1 + number % 3],
    'a note', ['unlicensed'], 1, 'claimed', 'x' FROM numbers(intDiv({installs}, 4))
"""


def fill(engine: Engine, cases: int) -> None:
    """Insert flags, reports and decisions."""
    for sql in (_INSTALLS, _KEYS, _DECISIONS):
        engine.command(sql.replace("{installs}", str(cases * 4 // 5)).replace("{keys}", str(cases // 5)))
    rows = engine.query(
        "SELECT DISTINCT module::String, install, if(key = 0, install % 50000 + 1, key) AS key FROM license_flags"
    )
    fill_states(engine, {(module, install): key for module, install, key in rows}, DAYS)


def main(cases: int) -> None:
    """Fill, and ask as the pages do."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        settings = Settings(home=home.path)
        engine = Engine(settings, home)
        migrate(engine)
        fill(engine, cases)
        desk = Casework(engine, AccessLog.of(settings, home), Credentials(home.credentials), LicenseKeys(bytes(32)))

        def listed(**args: str) -> Callable[[], Any]:
            after = int(args.pop("after", "0"))
            return lambda: desk.list(PERSON, "cases", args, after=after)

        _, total = desk.list(PERSON, "cases", {"state": "all"})
        ((keyed, *_), _) = desk.list(PERSON, "cases", {"rule": "shared_key"})
        ((alone, *_), _) = desk.list(PERSON, "cases", {"rule": "unlicensed"})
        print(f"{total.cases} cases, {total.installs} installs, {total.keys} of them about a key; wall and CPU, ms")
        measure("list", listed())
        measure("all states", listed(state="all"))
        measure("module and severity", listed(module="mod_3", severity="critical"))
        measure("mine, newest", listed(assignee="me", sort="newest"))
        measure("rule and grade", listed(rule="unlicensed", grade="recorded"))
        measure("the last page", listed(after=str(total.cases - 200)))
        measure("open a case of an install", lambda: desk.open(PERSON, "case", str(alone.subject)))
        measure("open a case of a key", lambda: desk.open(PERSON, "case", str(keyed.subject)))
        measure("the file of all cases", lambda: csv_of(desk.list(PERSON, "cases csv", {}, limit=MOST)[0]))
        measure("trends", lambda: desk.trends(PERSON, "trends", "", 5))
        engine.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CASES)
