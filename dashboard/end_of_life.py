"""Until when releases of PHP and WHMCS get security fixes, from `end_of_life.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Ends:
    """The ends of life of a product's series, where it publishes them, and the day on which they were known."""

    title: str
    source: str
    known: date
    ends: Mapping[str, date]


@cache
def known() -> Mapping[str, Ends]:
    """The ends of life by dimension: `php_series`, `whmcs_series`."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return {dimension: Ends(**table) for dimension, table in tables.items()}
