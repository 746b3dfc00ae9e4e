"""Cases as a CSV file: for a download, and for the daily e-mail. Pure."""

import csv
from collections.abc import Sequence
from io import StringIO
from typing import Any

from dashboard.case_words import GRADES
from dashboard.formatting import no_formula
from warehouse.cases.listing import Case

# Far more than a team works through. All of them are in the file, or none.
MOST = 100_000
COLUMNS = (
    "case", "module", "state", "reopened", "assignee", "rules", "severity", "grade", "installs_in_question", "at_once",
    "days", "score",
    "since", "changed",
)  # fmt: skip


def csv_of(cases: Sequence[Case]) -> str:
    """Return the file. It has no address and no note; times are to the day."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_line(case) for case in cases)
    return file.getvalue()


def _line(case: Case) -> list[Any]:
    return [
        str(case.subject), case.subject.module, case.state, "yes" if case.reopened else "", no_formula(case.assignee),
        " ".join(case.evidence.rules), case.severity, GRADES.get(case.evidence.grade, ""), case.installs,
        case.evidence.reach, case.days, case.score,
        f"{case.since:%Y-%m-%d}" if case.evidence.rules else "", f"{case.touched:%Y-%m-%d}",
    ]  # fmt: skip
