"""Hypothesis strategies for beacons that the field table allows."""

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from core.fields import FIELDS, MAX_COUNT, MAX_FEATURES, OBJECTS, REQUIRED_OBJECTS, Field
from tests.collector.sample import Beacon, changed

ADDRESSES = st.sampled_from(["203.0.113.9", "8.8.8.8", "2001:db8::7", "2606:4700:4700::1111"])


def of_pattern(pattern: str) -> st.SearchStrategy[str]:
    """Texts that match a field's pattern as a whole."""
    return st.from_regex(rf"\A(?:{pattern})\Z")


def values(field: Field) -> st.SearchStrategy[Any]:
    """The values that a field may have."""
    if field.kind == "integer":
        return st.just(1)
    if field.kind == "address":
        return ADDRESSES
    if field.kind == "time":
        return st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)).map(
            lambda t: f"{t.isoformat()}Z"
        )
    if field.kind == "counts":
        return st.dictionaries(of_pattern(field.pattern), st.integers(0, MAX_COUNT), max_size=MAX_FEATURES // 20)
    return st.sampled_from(field.choices) if field.choices else of_pattern(field.pattern)


@st.composite
def beacons(draw: st.DrawFn) -> Beacon:
    """A beacon of any fields that the table lets stand together."""
    there = {"", *REQUIRED_OBJECTS}
    for path in OBJECTS:
        if path.rpartition(".")[0] in there and (path in REQUIRED_OBJECTS or draw(st.booleans())):
            there.add(path)
    fields = [f for f in FIELDS if f.path.rpartition(".")[0] in there and (f.required or draw(st.booleans()))]
    made: Beacon = {path: {} for path in there if path and "." not in path}
    made = changed(made, {path: {} for path in OBJECTS if path in there and "." in path})
    made = changed(made, {f.path: draw(values(f)) for f in fields})
    if made.get("consent", {}).get("level") == "license":
        server = {name: value for name, value in made.get("server", {}).items() if name == "public_ip"}
        made = {name: value for name, value in made.items() if name not in ("platform", "features", "server")}
        made |= {"server": server} if server else {}
    return made
