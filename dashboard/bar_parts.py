"""What the buttons of the filter bar have in common."""

from typing import Any

# A list inside of a popover. What scrolls would be a stop of the Tab key, which closes the list and so loses the focus.
INSIDE: dict[str, Any] = {
    "comboboxProps": {"withinPortal": False},
    "scrollAreaProps": {"viewportProps": {"tabIndex": -1}},
}
# A popover puts its ARIA attributes on the box around its target. So the box itself is the button that opens it.
OPENS: dict[str, Any] = {"component": "button", "type": "button", "className": "bar-button"}
