"""Test cases as data files, which other languages can use too."""

import json
from pathlib import Path
from typing import Any


def read(name: str) -> Any:
    """The cases of `<name>.json`."""
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))
