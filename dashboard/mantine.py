"""The components of Mantine that the pages use, imported as `dmc`.

`import dash_mantine_components` imports all of them, which takes a third of the CPU of all imports of the dashboard.
"""
# ruff: noqa: E402

import sys
from types import ModuleType

# In place of the module that imports all of them, unless somebody has imported it.
_all_of_them = ModuleType("dash_mantine_components._imports_")
_all_of_them.__dict__["__all__"] = []
sys.modules.setdefault(_all_of_them.__name__, _all_of_them)

from dash_mantine_components.Anchor import Anchor
from dash_mantine_components.AppShell import AppShell
from dash_mantine_components.AppShellHeader import AppShellHeader
from dash_mantine_components.AppShellMain import AppShellMain
from dash_mantine_components.AppShellNavbar import AppShellNavbar
from dash_mantine_components.Autocomplete import Autocomplete
from dash_mantine_components.Badge import Badge
from dash_mantine_components.Burger import Burger
from dash_mantine_components.Button import Button
from dash_mantine_components.Checkbox import Checkbox
from dash_mantine_components.CheckboxGroup import CheckboxGroup
from dash_mantine_components.ColorSchemeToggle import ColorSchemeToggle
from dash_mantine_components.CopyButton import CopyButton
from dash_mantine_components.DatePickerInput import DatePickerInput
from dash_mantine_components.Group import Group
from dash_mantine_components.MantineProvider import MantineProvider
from dash_mantine_components.Menu import Menu
from dash_mantine_components.MenuDropdown import MenuDropdown
from dash_mantine_components.MenuLabel import MenuLabel
from dash_mantine_components.MenuTarget import MenuTarget
from dash_mantine_components.MultiSelect import MultiSelect
from dash_mantine_components.NavLink import NavLink
from dash_mantine_components.Popover import Popover
from dash_mantine_components.PopoverDropdown import PopoverDropdown
from dash_mantine_components.PopoverTarget import PopoverTarget
from dash_mantine_components.Select import Select
from dash_mantine_components.Stack import Stack
from dash_mantine_components.Text import Text
from dash_mantine_components.TextInput import TextInput
from dash_mantine_components.Title import Title
from dash_mantine_components.Tooltip import Tooltip

__all__ = [
    "Anchor",
    "AppShell",
    "AppShellHeader",
    "AppShellMain",
    "AppShellNavbar",
    "Autocomplete",
    "Badge",
    "Burger",
    "Button",
    "Checkbox",
    "CheckboxGroup",
    "ColorSchemeToggle",
    "CopyButton",
    "DatePickerInput",
    "Group",
    "MantineProvider",
    "Menu",
    "MenuDropdown",
    "MenuLabel",
    "MenuTarget",
    "MultiSelect",
    "NavLink",
    "Popover",
    "PopoverDropdown",
    "PopoverTarget",
    "Select",
    "Stack",
    "Text",
    "TextInput",
    "Title",
    "Tooltip",
]
