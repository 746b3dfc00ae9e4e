"""What the buttons of the filter bar have in common."""

from typing import Any

# A popover puts its ARIA attributes on the box around its target. So the box itself is the button that opens it.
OPENS: dict[str, Any] = {"component": "button", "type": "button", "className": "bar-button"}
