// Cell renderers of the grids. A text in place of a number ("too few") is shown as it is. A row that is still loading has
// neither data nor values.

(function () {
  const thin = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");
  const percent = (value) =>
    typeof value !== "number" ? value : value > 0 && value < 0.001 ? "<0.1%" : (value * 100).toFixed(value < 0.1 && value ? 1 : 0) + "%";
  const element = (...parts) => window.React.createElement(...parts);

  window.dashAgGridComponentFunctions = Object.assign({}, window.dashAgGridComponentFunctions, {
    Count: ({ value }) => element("span", { className: typeof value === "number" ? "number" : "dim" },
      typeof value === "number" ? thin(value) : value),
    Share: ({ value, node }) => {
      if (typeof value !== "number") return element("span", { className: "dim" }, value);
      const width = Math.min(100, value * 100) + "%";
      return element("span", { className: "share" + (node.rowPinned ? " pinned" : "") },
        element("span", { className: "share-bar", "aria-hidden": true }, element("span", { style: { width } })),
        element("span", { className: "number" }, percent(value)));
    },
    Named: ({ value, data }) => (data && data.title ? element("span", { className: "named" },
      element("span", null, data.title), element("span", { className: "dim" }, value)) : value),
    Hint: ({ value }) => (value ? element("span", { className: "badge" }, value) : null),
    Status: ({ value }) => element("span", { className: "badge status-" + value }, value),
    Flags: ({ value }) => (value ? element("span", { className: "flags" }, value.split(", ").map((flag) =>
      element("span", { className: "badge", key: flag }, flag))) : element("span", { className: "dim" }, "–")),
  });
})();
