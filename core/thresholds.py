"""The thresholds of the licensing rules: settings like the others, which the pure rules receive as one object."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers in a range. It raises `ValueError`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return parse


def setting(default: Any, parse: Callable[[str], Any], doc: str) -> Any:
    """Return the field of a setting: its default, its parser and its meaning."""
    return field(default=default, metadata={"parse": parse, "doc": doc})


def _days(default: int, doc: str) -> Any:
    return setting(default, whole(1, 365), doc)


@dataclass(frozen=True)
class Thresholds:
    """When a licensing rule raises a flag. Days are calendar days (UTC)."""

    unlicensed_days: int = _days(3, "Rule unlicensed: days of the present run of unlicensed or invalid.")
    lapsed_days: int = _days(14, "Rule lapsed: days of the present run of expired or suspended.")
    unknown_key_days: int = _days(2, "Rule unknown_key: days with a key that the registry does not know.")
    missing_key_days: int = _days(2, "Rule missing_key: days without a key.")
    missing_key_percent: int = setting(
        90, whole(50, 100), "Rule missing_key: percent of the installs of a version that send a key."
    )
    missing_key_installs: int = setting(20, whole(2, 10**6), "Rule missing_key: least installs of that version.")
    dead_key_days: int = _days(3, "Rule dead_key: days that a key is revoked or suspended and still in use.")
    expired_key_days: int = _days(20, "Rule dead_key: days that a key is expired and still in use.")
    shared_key_days: int = _days(3, "Rule shared_key: more than this many days on which too many installs overlap.")
    cloned_networks: int = setting(3, whole(2, 100), "Rule cloned_install: recurring networks on the same day.")
    cloned_days: int = setting(4, whole(1, 30), "Rule cloned_install: days with that many networks.")
    flapping_changes: int = setting(4, whole(2, 1000), "Rule flapping: changes of the reported license.")
    flapping_days: int = _days(14, "Rule flapping: the days in which they happen.")
    trial_days: int = _days(45, "Rule trial_overrun: more than this many days of trial.")
    incident_percent: int = setting(
        10, whole(1, 100), "Incident guard: more than this percent of a module's installs turn from licensed in a day."
    )
    incident_installs: int = setting(10, whole(2, 10**6), "Incident guard: least installs that turn.")
    incident_days: int = _days(
        14,
        "Incident guard: an incident is over after this many days, a slow one so long after its last turn.",
    )
