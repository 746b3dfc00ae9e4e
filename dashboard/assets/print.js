// Paper is white: a page is printed in light colors, also where the screen is dark.
(function () {
  const root = document.documentElement;
  const scheme = "data-mantine-color-scheme";
  let shown;
  window.addEventListener("beforeprint", () => {
    shown = root.getAttribute(scheme);
    root.setAttribute(scheme, "light");
  });
  window.addEventListener("afterprint", () => {
    if (shown) root.setAttribute(scheme, shown);
  });
})();

// A grid draws only the rows that are in view. On paper a plain table stands in its place, with all rows that the grid has:
// those that its filters leave, in its order, drawn by its own cell renderers.
(function () {
  const element = (...parts) => window.React.createElement(...parts);

  // The rows, and how many there are in all: a grid that loads its rows as it scrolls has a part of them.
  function rowsOf(api) {
    const rows = [];
    const keep = (node) => node.data && rows.push(node);
    if (api.getGridOption("rowModelType") === "infinite") api.forEachNode(keep);
    else api.forEachNodeAfterFilterAndSort(keep);
    const total = Math.max(rows.length, api.getDisplayedRowCount());
    for (let at = 0; at < api.getPinnedBottomRowCount(); at += 1) keep(api.getPinnedBottomRow(at));
    return { rows, total, pinned: api.getPinnedBottomRowCount() };
  }

  function tableOf(api) {
    const columns = api.getAllDisplayedColumns();
    const { rows, total, pinned } = rowsOf(api);
    const heads = columns.map((column) => element("th", { key: column.getColId(), scope: "col" }, api.getDisplayNameForColumn(column, null)));
    const cell = (node, column) => {
      const { cellRenderer } = column.getColDef();
      const value = (useFormatter) => api.getCellValue({ rowNode: node, colKey: column, useFormatter });
      const drawn = cellRenderer ? element(window.dashAgGridComponentFunctions[cellRenderer], { value: value(false), data: node.data, node }) : value(true);
      return element("td", { key: column.getColId() }, drawn);
    };
    const body = rows.map((node, at) => element("tr", { key: at }, columns.map((column) => cell(node, column))));
    const cut = total > rows.length - pinned ? element("p", { className: "card-note" }, `The first ${rows.length - pinned} of ${total} rows.`) : null;
    return element("div", null, element("table", null, element("thead", null, element("tr", null, heads)), element("tbody", null, body)), cut);
  }

  let printed = [];
  window.addEventListener("beforeprint", () => {
    for (const grid of document.querySelectorAll(".grid[id]")) {
      const api = window.dash_ag_grid && window.dash_ag_grid.getApi(grid.id);
      if (!api || !grid.offsetParent) continue;
      const place = Object.assign(document.createElement("div"), { className: "printed-grid" });
      grid.after(place);
      const root = window.ReactDOM.createRoot(place);
      window.ReactDOM.flushSync(() => root.render(tableOf(api)));
      printed.push({ root, place });
    }
  });
  window.addEventListener("afterprint", () => {
    for (const { root, place } of printed) {
      root.unmount();
      place.remove();
    }
    printed = [];
  });
})();
