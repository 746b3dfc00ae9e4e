"""The outcome of a check, and how commands print it."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    id: str
    ok: bool
    message: str


def report(checks: Iterable[Check]) -> None:
    """Print a line for each check, then exit: with status 1 if one failed."""
    failed = 0
    for check in checks:
        failed += not check.ok
        click.echo(f"{'ok  ' if check.ok else 'FAIL'} {check.id:<12} {check.message}")
    sys.exit(1 if failed else 0)
