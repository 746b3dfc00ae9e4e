// Links of tables and grids. One that refines the page replaces the address, as the filter bar does; one to another page adds
// to the history. With a key held it is a link like any other.

(function () {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-refine], a[data-go]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    if ("refine" in link.dataset) window.history.replaceState(window.history.state, "", href);
    else {
      window.history.pushState(null, "", href);
      window.scrollTo(0, 0);
    }
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")); // by which dcc.Location reads the address again
  });

  // A page that is left must not ask for the filters of the next one. It goes before dcc.Location reads the address.
  let shown = window.location.pathname;
  function leave() {
    if (window.location.pathname === shown) return;
    shown = window.location.pathname;
    window.dash_clientside.set_props("page-content", { children: null });
  }
  for (const event of ["popstate", "_dashprivate_pushstate"]) window.addEventListener(event, leave, true);
})();
