// Whatever changes on a page, dash-renderer goes through all that has ever changed, once for each component that wants
// to be drawn again with what is inside it. The tooltips of the cards want that, and took 0.7 of 0.9 s of a change of
// filters. What is inside these components is drawn by itself.
for (const name of ["MenuDropdown", "MenuLabel", "PopoverDropdown", "Tooltip"]) {
  delete window.dash_mantine_components[name].dashChildrenUpdate;
}
