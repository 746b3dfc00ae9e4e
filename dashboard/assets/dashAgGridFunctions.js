// Cell renderers of the grids. A text in place of a number ("too few") is shown as it is. A row that is still loading has
// neither data nor values.

(function () {
  const thin = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  // The numbers are those of formatting.py: half-way between two, `toFixed` takes the larger, and Python the even one.
  const fixed = (number, digits) => {
    const halfwayToOdd = (number * (digits ? 4 : 2)) % 4 === 1;
    return (halfwayToOdd ? Math.floor(number * 10 ** digits) / 10 ** digits : number).toFixed(digits);
  };
  const decimal = (number) => (number >= 100 ? thin(fixed(number, 0)) : fixed(number, 1));
  const percent = (value) =>
    typeof value !== "number" ? value : value > 0 && value < 0.001 ? "<0.1%" : fixed(value * 100, value < 0.1 && value ? 1 : 0) + "%";
  const element = (...parts) => window.React.createElement(...parts);

  window.dashAgGridFunctions = Object.assign({}, window.dashAgGridFunctions, {
    // The trend and the first month of a feature, which arrive after its row.
    featureHistory: ({ data }) => {
      const { history } = window.dash_clientside.pharos;
      if (!history || history.search !== window.location.search) return { first_seen: data ? "…" : "" };
      return (data && history.rows[data.id]) || {};
    },
    // "2026-03" as "Mar 2026".
    monthName: ({ value }) => (/^\d{4}-\d{2}$/.test(value)
      ? new Date(value).toLocaleDateString("en-GB", { month: "short", year: "numeric", timeZone: "UTC" }).replace("Sept", "Sep")
      : value),
    // Where there is no room for it, the column of modules gives way, and the names stay while the figures scroll. The rows
    // are not ordered by what has no header to say so.
    narrow: ({ api }) => {
      const narrow = document.getElementById("features-grid").clientWidth < 600;
      if (api.getColumn("module").isVisible() !== narrow) return;
      const module = { colId: "module", hide: narrow, ...(narrow ? { sort: null } : {}) };
      api.applyColumnState({ state: [module, { colId: "feature", pinned: narrow ? "left" : null }] });
    },
  });

  window.dashAgGridComponentFunctions = Object.assign({}, window.dashAgGridComponentFunctions, {
    Count: ({ value }) => element("span", { className: typeof value === "number" ? "number" : "dim" },
      typeof value === "number" ? thin(value) : value),
    Decimal: ({ value }) => element("span", { className: typeof value === "number" ? "number" : "dim" },
      typeof value === "number" ? decimal(value) : value),
    Share: ({ value, node }) => {
      if (typeof value !== "number") return element("span", { className: "dim" }, value);
      const width = Math.min(100, value * 100) + "%";
      return element("span", { className: "share" + (node.rowPinned ? " pinned" : "") },
        element("span", { className: "share-bar", "aria-hidden": true }, element("span", { style: { width } })),
        element("span", { className: "number" }, percent(value)));
    },
    // On a phone the module stands below the name, in place of its column.
    Named: ({ value, data }) => {
      const title = data && data.title, module = data && data.module;
      const name = element("span", { className: "named" }, element("span", null, title || value),
        title ? element("span", { className: "dim code-name" }, value) : null,
        module ? element("span", { className: "dim module-name" }, module) : null);
      return data && data.href ? element("a", { href: data.href, "data-go": "yes" }, name) : name;
    },
    // A change that chance may explain is grey.
    Points: ({ value, data }) => {
      if (typeof value !== "number") return element("span", { className: "dim" }, value === "too few" ? "–" : value);
      const size = fixed(Math.abs(value) * 100, 1).replace(/\.0$/, "");
      const points = size === "0" ? size : (value > 0 ? "+" : "−") + size;
      return element("span", { className: "number" + (data && data.chance ? " dim" : "") }, points);
    },
    // The line has a title for those who do not see it. A week without a figure is a gap.
    Trend: ({ value }) => {
      const known = (value || []).filter((one) => typeof one === "number");
      if (known.length < 2) return null;
      const high = Math.max(...known);
      const place = (one, at) => [(at / (value.length - 1)) * 96 + 2, 26 - (high ? one / high : 0) * 22];
      let path = "";
      value.forEach((one, at) => {
        if (typeof one !== "number") return;
        path += (at && typeof value[at - 1] === "number" ? "L" : "M") + place(one, at).map((xy) => xy.toFixed(1)).join(" ");
      });
      const label = "from " + percent(known[0]) + " to " + percent(known[known.length - 1]) + " in " + value.length + " weeks";
      return element("svg", { viewBox: "0 0 100 28", width: 84, height: 28, role: "img", "aria-label": label, className: "trend" },
        element("path", { d: path, fill: "none", stroke: "#5c7cfa", strokeWidth: 2 }));
    },
    Hint: ({ value }) => (value ? element("span", { className: "badge" }, value) : null),
    Status: ({ value }) => element("span", { className: "badge status-" + value }, value),
    // Each flag is a link to its case.
    Flags: ({ value, data }) => (value ? element("span", { className: "flags" }, value.split(", ").map((flag, at) =>
      element("a", { className: "badge", key: flag, href: data.cases[at], "data-go": "yes" }, flag))) : element("span", { className: "dim" }, "–")),
  });
})();
