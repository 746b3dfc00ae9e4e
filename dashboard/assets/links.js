// Links of tables and grids. One that refines the page replaces the address, as the filter bar does; one to another page adds
// to the history. With a key held it is a link like any other.

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-refine], a[data-go]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const href = link.getAttribute("href");
  if ("refine" in link.dataset) window.history.replaceState(window.history.state, "", href);
  else window.history.pushState(null, "", href);
  window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")); // by which dcc.Location reads the address again
});
