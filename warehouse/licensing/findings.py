"""A rule and what it finds: the evidence, piece by piece, each with its grade. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from warehouse.licensing.facts import Install, Run, Terms, days

# `recorded`: the collector saw it itself. `registry`: the vendor said so. `claimed`: a module said so, or an import.
Grade = Literal["recorded", "registry", "claimed"]
GRADES: tuple[Grade, ...] = ("recorded", "registry", "claimed")
SEVERITIES = ("notice", "warning", "critical")


@dataclass(frozen=True)
class Piece:
    """A piece of evidence in words. The flag does not hold without a `necessary` one."""

    text: str
    grade: Grade
    necessary: bool = True


@dataclass(frozen=True)
class Finding:
    """What a rule found. `since` is the start of the present run, `key` the subject if it is a key.

    `until` is the last report that supports it. What is recorded has the times of what the collector received.
    """

    since: datetime
    until: datetime
    pieces: tuple[Piece, ...]
    key: int = 0
    reach: int = 1

    @property
    def grade(self) -> Grade:
        """The grade of the weakest necessary piece."""
        return max((piece.grade for piece in self.pieces if piece.necessary), key=GRADES.index)

    def begun(self, since: datetime) -> "Finding":
        """Return the same finding with an earlier start."""
        was, told = span(self.since, self.until), span(since, self.until)
        return replace(
            self, since=since, pieces=tuple(replace(each, text=each.text.replace(was, told)) for each in self.pieces)
        )


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its severity on strong evidence, its meaning, and what else may explain the evidence.

    `find` judges an install; a rule about keys has none, because it needs all installs of a key.
    """

    name: str
    severity: str
    description: str
    innocent: tuple[str, ...]
    find: Callable[[Install, Terms], Finding | None] | None = None
    # Whether an incident of the vendor may cause it.
    guarded: bool = field(default=False)
    # Whether it judges only the last days: then a flag that holds keeps its start.
    windowed: bool = field(default=False)

    def severity_of(self, grade: Grade) -> str:
        """Return the severity of a flag: one step lower if it rests on a claim."""
        step = SEVERITIES.index(self.severity) - (grade == "claimed")
        return SEVERITIES[max(step, 0)]


def reported(runs: Sequence[Run], least: int) -> tuple[datetime, datetime, Grade]:
    """Return from when to when an install reported these runs, and the grade of that.

    It is recorded from the first to the last report that a connection delivered on the day that it states, if at least
    `least` days lie between them. Otherwise the days are what the module or an import says.
    """
    received = [run.received for run in runs if run.received]
    if received and days(received[0][0], received[-1][1]) >= least:
        return received[0][0], received[-1][1], "recorded"
    return runs[0].since, runs[-1].until, "claimed"


def span(since: datetime, until: datetime) -> str:
    """Return the days of the reports that support a flag. Later ones may not be written yet: see `Flag.fingerprint`."""
    return f"from {since:%Y-%m-%d} to at least {until:%Y-%m-%d}"


def in_words(pieces: Sequence[Piece]) -> str:
    """Return the evidence as one text, which says of each piece how it is known."""
    return "; ".join(f"{piece.text} ({piece.grade})" for piece in pieces)
