// Links of tables and grids. One that refines the page replaces the address, as the filter bar does; one to another page adds
// to the history. With a key held it is a link like any other.

(function () {
  // The rows of the page change, and the focus must not go with a link: it moves to the link of the same value, to the
  // table or the group that the link was in, to another link of the card, or to the control that shows what was chosen.
  function keepFocus(link, href, byKey) {
    const area = link.closest(".card, .choices");
    const text = link.textContent;
    const group = link.closest("[role=group]");
    const named = group && group.getAttribute("aria-label");
    const before = new URLSearchParams(window.location.search);
    const [changed] = [...new URL(href, window.location.href).searchParams].find(([name, value]) => before.get(name) !== value) || [];
    const visible = (selector, within) => [...(within || document).querySelectorAll(selector)].filter((one) => one.offsetParent);
    function next() {
      const links = area ? visible("a[data-refine]", area) : [];
      const same = links.find((one) => one.textContent === text);
      const around = area && named && visible("[role=group]", area).find((one) => one.getAttribute("aria-label") === named);
      const inside = around && (around.tabIndex < 0 ? visible("a", around)[0] : around);
      const control = changed && visible(`[data-filter="${changed}"], [id="${changed}-filter"]`)[0];
      return same || inside || links[0] || control || visible("#filter-picker-target")[0] || document.getElementById("content");
    }
    const waiting = setInterval(() => {
      if (document.activeElement === link) return;
      clearInterval(waiting);
      if (document.activeElement === document.body) next().focus({ preventScroll: !byKey });
    }, 50);
    setTimeout(clearInterval, 10000, waiting);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-refine], a[data-go]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const href = link.getAttribute("href");
    if ("refine" in link.dataset) {
      keepFocus(link, href, !event.detail);
      window.history.replaceState(window.history.state, "", href);
    } else {
      window.history.pushState(null, "", href);
      window.scrollTo(0, 0);
    }
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")); // by which dcc.Location reads the address again
  });

  // While the dashboard does not answer, the browser would show its own error in place of the page.
  document.addEventListener("click", async ({ target }) => {
    const again = target.closest("[data-again]");
    if (!again) return;
    try {
      await window.fetch(window.location.href, { method: "HEAD" });
      window.location.reload();
    } catch {
      again.textContent = "No answer yet. Try again";
    }
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
