"""What a call of a Dash callback must look like. Dash answers a malformed one with a 500 and a traceback. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

# What the browser sends for a property; None is a component that has no value yet.
_TYPES: dict[str, tuple[type, ...]] = {
    "pathname": (str,),
    "search": (str,),
    "hash": (str,),
    "href": (str,),
    "n_clicks": (int,),
    "n_intervals": (int,),
    "value": (str,),
    "data": (dict, list, str),
    "selectedRows": (dict, list),
}


def is_well_formed(body: Mapping[str, Any], registered: Mapping[str, Any]) -> bool:
    """Whether `body` calls the callback as it was registered: its outputs, its inputs and states in order, their types.

    `registered` is the entry of Dash's `callback_map`.
    """
    changed = body.get("changedPropIds", [])
    return (
        _spelled(body.get("outputs")) == body.get("output")
        and _given(body.get("inputs"), registered["inputs"])
        and _given(body.get("state", []), registered["state"])
        and isinstance(changed, list)
        and all(isinstance(name, str) for name in changed)
    )


def _spelled(outputs: Any) -> str | None:
    """The name of a callback with these outputs, None where they are none."""
    several = isinstance(outputs, list)
    names = []
    for output in outputs if several else [outputs]:
        if not (isinstance(output, dict) and isinstance(output.get("id"), str)):
            return None
        if not isinstance(output.get("property"), str):
            return None
        names.append(f"{output['id']}.{output['property']}")
    return f"..{'...'.join(names)}.." if several else names[0]


def _given(given: Any, registered: Sequence[Mapping[str, Any]]) -> bool:
    if not isinstance(given, list) or len(given) != len(registered):
        return False
    return all(
        isinstance(each, dict)
        and (each.get("id"), each.get("property")) == (known["id"], known["property"])
        and _fits(each["property"], each.get("value"))
        for each, known in zip(given, registered, strict=True)
    )


def _fits(name: str, value: Any) -> bool:
    types = _TYPES.get(name)
    if name == "pathname" and isinstance(value, str) and not value.startswith("/"):
        return False
    return value is None or types is None or (isinstance(value, types) and not isinstance(value, bool))
