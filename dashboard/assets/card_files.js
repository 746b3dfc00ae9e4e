// What a card offers beside its figure: the table behind it, its CSV and PNG files, and the calls of the read API. All of it
// is made from the store `<name>-shown`, so that it is what the card shows.

(function () {
  const shownOf = (name) => (window.dash_component_api.getLayout(name + "-shown") || { props: {} }).props.data;
  const rounded = (value) => Number(value.toFixed(4)); // a share to a hundredth of a percent
  const dash = "–";
  const number = (value) => String(value).replace(/^-?\d+/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, "\u202f"));
  const node = (type, text, properties) => Object.assign(document.createElement(type), text === undefined ? {} : { textContent: text }, properties);

  // Numbers as numbers. A text that a spreadsheet would take for a formula begins with an apostrophe, as OWASP advises.
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(rounded(value));
    const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : value;
    return '"' + text.replaceAll('"', '""') + '"';
  }
  const csv = ({ columns, rows }) => "\ufeff" + [columns, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");

  function save(href, name) {
    const link = node("a", undefined, { href, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  }

  function fileName(name, kind) {
    const days = (window.dash_clientside.pharos.days || { days: [] }).days.filter(Boolean).join("_");
    const module = (new URLSearchParams(window.location.search).get("module") || "").replace(/[^\w-]/g, "");
    return ["pharos", name, module, days].filter(Boolean).join("-") + "." + kind;
  }

  const FILES = {
    csv(name) {
      const shown = shownOf(name);
      if (!shown) return;
      const href = URL.createObjectURL(new Blob([csv(shown)], { type: "text/csv;charset=utf-8" }));
      save(href, fileName(name, "csv"));
      setTimeout(() => URL.revokeObjectURL(href), 60000);
    },
    async png(name) {
      const { mapPicture, tablePicture } = window.dash_clientside.pharos;
      const graph = document.querySelector("#" + name + " .js-plotly-plot");
      const title = document.getElementById(name + "-title").textContent;
      const map = document.getElementById(name + "-map");
      const table = document.querySelector("#" + name + "-body table");
      if (map && map.classList.contains("drawn")) return save(await mapPicture(map, [title, document.title]), fileName(name, "png"));
      if (table) return save(tablePicture(table, [title, document.title]), fileName(name, "png"));
      if (!graph || !window.Plotly) return;
      const paper = { paper_bgcolor: "#fff", plot_bgcolor: "#fff", width: graph.offsetWidth, height: graph.offsetHeight + 56 };
      const heading = { text: title + "<br><sub>" + document.title + "</sub>", x: 0.02, xanchor: "left", y: 0.97, yanchor: "top", font: { size: 15 } };
      const margin = Object.assign({}, graph.layout.margin, { t: ((graph.layout.margin || {}).t || 0) + 56 });
      const layout = Object.assign({}, graph.layout, paper, { title: heading, margin, meta: undefined });
      save(await window.Plotly.toImage({ data: graph.data, layout }, { format: "png", scale: 2, width: paper.width, height: paper.height }), fileName(name, "png"));
    },
  };

  function call(path) {
    const row = node("p", undefined, { className: "api-call" });
    const copy = node("button", "Copy", { type: "button", className: "card-file" });
    copy.dataset.copy = window.location.origin + path;
    copy.setAttribute("aria-label", "Copy the API call " + path);
    row.append(node("code", "GET " + path), copy);
    return row;
  }

  // Without https a browser has no clipboard for scripts. Then the text is selected, ready to be copied.
  async function copyCall(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.removeAttribute("aria-label");
      button.textContent = "Copied";
    } catch {
      window.getSelection().selectAllChildren(button.previousSibling);
    }
  }

  function fillTable(name) {
    const place = document.getElementById(name + "-table");
    const shown = shownOf(name);
    if (!place || !shown) return;
    const table = node("table", undefined, { className: "plain-table" });
    const head = table.createTHead().insertRow();
    for (const column of shown.columns) head.append(node("th", column, { scope: "col" }));
    const body = table.createTBody();
    for (const values of shown.rows) {
      const row = body.insertRow();
      values.forEach((value, index) => {
        const text = value === null ? shown.hidden[shown.columns[index]] || dash : typeof value === "number" ? number(rounded(value)) : value;
        row.append(index ? node("td", text) : node("th", text, { scope: "row" }));
      });
    }
    const scroll = node("div", undefined, { className: "table-scroll", tabIndex: 0 });
    scroll.setAttribute("role", "group");
    scroll.setAttribute("aria-label", "Table");
    scroll.append(table);
    place.filledFrom = shown;
    place.replaceChildren(...(shown.columns.length ? [scroll] : []), ...shown.calls.map(call));
  }

  document.addEventListener("toggle", ({ target }) => {
    if (target.dataset && target.dataset.card && target.open) fillTable(target.dataset.card);
  }, true);
  document.addEventListener("click", ({ target }) => {
    const file = target.closest("[data-file]");
    if (file) FILES[file.dataset.file](file.dataset.card);
    const copy = target.closest("[data-copy]");
    if (copy) copyCall(copy);
  });

  // An open table follows its card. The stores have no event for scripts, and few tables are open.
  setInterval(() => {
    for (const { dataset } of document.querySelectorAll("details[data-card][open]")) {
      const place = document.getElementById(dataset.card + "-table");
      if (place && place.filledFrom !== shownOf(dataset.card)) fillTable(dataset.card);
    }
  }, 300);
})();
