"""How many installs a single copy of both planes' tables exposes, if the license plane showed less of each install.

    python -m tests.bench.sealed_state [INSTALLS] [DAYS]...

The attack is that of `pharos privacy linkage` on all days: the installs of the license plane with the same values. Each
variant is what the license plane would show; the attacker makes the same of the usage plane. The fleet is that of
`pharos demo`, without countries. The size of a sealed state is that of its real encoding, with one address an install;
the attacker is taken to know it.
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime

from pharos.synthetic_fleet import beacons
from warehouse.licensing.state_codec import encode, padded
from warehouse.licensing.states import Place, Report, merged, of_report, trimmed
from warehouse.queries import linkage
from warehouse.queries.linkage import Planes, Row

INSTALLS, K = 5000, 5
REPORTED = ("day", "module", "version", "license_status", "country")
LAST = date(2026, 11, 28)
SPANS = (1, 3, 14, 30)
# From the reports of an install and module, in order, to the rows that show of them.
Shown = Callable[[list[Row]], list[Row]]


def each(*columns: str) -> Shown:
    """Return what each report shows if it has only these columns in clear."""
    return lambda rows: [said(row, *columns) for row in rows]


def month_and_number(rows: list[Row]) -> list[Row]:
    """A sealed row for each report: its month, and that it is there."""
    return [{**said(row), "day": row["day"][:7]} for row in rows]


def now(*columns: str, month: bool = False, fresh: bool = False, time: bool = True, size: bool = False) -> Shown:
    """Return what one overwritten row shows: columns of the latest report, and its week or month.

    `fresh` is a row for each report of the last day beside it, until the nightly pass merges them. Without `time`, the
    pass writes all rows anew each night. `size` shows the size of the row.
    """

    def shown(rows: list[Row]) -> list[Row]:
        latest = rows[-1]
        when = latest["day"][:7] if month else str(date.fromisoformat(latest["day"]).isocalendar()[:2])
        today = [said(row) for row in rows if fresh and row["day"] == LAST.isoformat()]
        more = {"version": str(len(sealed(rows)))} if size else {}
        return [{**said(latest, *columns), "day": when if time else "", **more}, *today]

    return shown


def sealed(rows: list[Row]) -> bytes:
    """Return the padded state of an install and module after these reports."""
    states = [
        of_report(
            int(datetime.fromisoformat(f"{row['day']}T06:00Z").timestamp()) + index * 7919 % 43_000,
            Report(row["license_status"], 2**64 - 1, "whmcs-addon-modules", row["version"], True, "DE"),
            Place("203.0.113.9", ""),
        )
        for index, row in enumerate(rows)
    ]
    return padded(encode(trimmed(merged(states), datetime.fromisoformat(f"{LAST}T23:00Z"))))


def said(row: Row, *columns: str) -> Row:
    """Return a row that shows its install, its module and these columns."""
    return {name: value if name in (*columns, "install", "module") else "" for name, value in row.items()}


VARIANTS: dict[str, Shown] = {
    "every report: day, version, status (today)": each("day", "version", "license_status"),
    "every report: day, status": each("day", "license_status"),
    "every report: day": each("day"),
    "every report: month": month_and_number,
    "one row: week, version, status": now("version", "license_status"),
    "one row: week, status": now("license_status"),
    "one row: month, status": now("license_status", month=True),
    "one row: month, status; today's reports": now("license_status", month=True, fresh=True),
    "one row: month": now(month=True),
    "one row: month; today's reports": now(month=True, fresh=True),
    "one row: no time; today's reports": now(fresh=True, time=False),
    "the same, and its size": now(fresh=True, time=False, size=True),
}


def reports(installs: int, days: int) -> dict[tuple[str, str], list[Row]]:
    """Return the reports of each install and module, in order."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for one in sorted(beacons(4, installs, days, LAST), key=lambda each: each["sent_at"]):
        row = {
            "day": one["sent_at"][:10],
            "module": one["module"]["name"],
            "version": one["module"]["version"],
            "license_status": one["license"]["status"],
            "country": "",
        }
        found[one["install_id"], row["module"]].append(row)
    return found


def exposed(found: dict[tuple[str, str], list[Row]], shown: Shown, *, by_module: bool) -> float:
    """Return the share of exposed installs. `by_module` gives each module of an install its own pseudonym."""
    rows: list[Row] = []
    for (install, module), reported in found.items():
        rows += [{**row, "install": f"{install} {module}" if by_module else install} for row in shown(reported)]
    candidates = linkage.alike(Planes(rows, rows, REPORTED), lambda row: row["install"], lambda row: row["install"])
    few = {str(install).split()[0] for install, others in candidates.items() if len(others) < K}
    return len(few) / len({install for install, _ in found})


def main() -> None:
    """Print a table: a line for each variant, a column for each span of days."""
    installs, *spans = (int(text) for text in sys.argv[1:] or (INSTALLS, *SPANS))
    fleets = {days: reports(installs, days) for days in spans}
    heads = "".join(f"{days:>4} days" for days in spans)
    for by_module in (False, True):
        print(f"\n{'a pseudonym for ' + ('each module of an install' if by_module else 'an install'):<44}{heads}")
        for name, shown in VARIANTS.items():
            shares = (exposed(fleets[days], shown, by_module=by_module) for days in spans)
            print(f"{name:<44}" + "".join(f"{share:>9.1%}" for share in shares), flush=True)


if __name__ == "__main__":
    main()
