"""What a call of a Dash callback must look like. Dash answers a malformed one with a 500 and a traceback. Pure."""

from collections.abc import Callable, Mapping, Sequence
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
    "getRowsRequest": (dict,),
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
    if value is None or types is None:
        return True
    return isinstance(value, types) and not isinstance(value, bool) and _MORE.get(name, _anything)(value)


def _anything(_value: Any) -> bool:
    return True


def _is_rows_request(value: dict[str, Any]) -> bool:
    """What an AG Grid asks for: a block of rows, in the order of columns."""
    order = value.get("sortModel", [])
    return (
        all(type(value.get(name, 0)) is int and 0 <= value.get(name, 0) < 1 << 31 for name in ("startRow", "endRow"))
        and isinstance(order, list)
        and all(
            isinstance(by, dict) and isinstance(by.get("colId"), str) and by.get("sort") in ("asc", "desc")
            for by in order
        )
    )


def _are_selected(value: dict[str, Any] | list[Any]) -> bool:
    """Rows of an AG Grid, or, where the server chose them, their ids."""
    if isinstance(value, dict):
        ids = value.get("ids", [])
        return isinstance(ids, list) and all(isinstance(id, str) for id in ids)
    return all(isinstance(row, dict) and isinstance(row.get("feature"), str) for row in value)


_MORE: dict[str, Callable[[Any], bool]] = {
    "pathname": lambda value: value.startswith("/"),
    "getRowsRequest": _is_rows_request,
    "selectedRows": _are_selected,
}
