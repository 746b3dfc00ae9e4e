// The filters live in the address and nowhere else. `show…` sets the controls from the address, and `choose…` writes the
// value that a user chose into the address: a refinement replaces the address, a link to another page pushes a new one.
//
// A control that is given a value it does not know corrects it, which looks like a choice. Reading an address must not
// change it, so a choice counts only if the user has touched the page since the controls were last set.

(function () {
  const DAY = 86400000;
  const iso = (time) => new Date(time).toISOString().slice(0, 10);
  const today = () => iso(Date.now());
  const params = () => new URLSearchParams(window.location.search);
  const FRAME = ["module", "range", "from", "to", "today", "grain", "compare"];

  const aYearBefore = (day) => {
    const before = String(Number(day.slice(0, 4)) - 1) + day.slice(4);
    return before.endsWith("-02-29") ? before.slice(0, 8) + "28" : before;
  };

  // The first and last day of a relative range, as `span` in filters.py.
  function span(range, withToday) {
    const now = today();
    const end = withToday ? now : iso(Date.parse(now) - DAY);
    if (range === "quarter") {
      const month = Number(now.slice(5, 7));
      const start = now.slice(0, 5) + String(month - ((month - 1) % 3)).padStart(2, "0") + "-01";
      return [start, start > end ? start : end];
    }
    if (range === "12m") return [iso(Date.parse(aYearBefore(end)) + DAY), end];
    return [iso(Date.parse(end) - (parseInt(range) - 1) * DAY), end];
  }

  // What the address says of days: the range's name ("days" for fixed ones, "" for an unknown one) and both days.
  function chosenRange(given, known, young) {
    const withToday = given.get("today") === "yes" || young;
    if (given.get("from") || given.get("to")) {
      const to = given.get("to") || today();
      const from = given.get("from") || (isNaN(Date.parse(to)) ? "" : iso(Date.parse(to) - 29 * DAY));
      const dated = !isNaN(Date.parse(from)) && !isNaN(Date.parse(to));
      return { range: "days", days: dated ? [from, to] : [null, null], withToday: to >= today() };
    }
    const range = given.get("range") || known.range;
    if (!known.ranges[range]) return { range: "", days: [null, null], withToday };
    return { range, days: span(range, withToday), withToday };
  }

  let touched = 0;
  let shown = 0;
  for (const event of ["pointerdown", "click", "keydown"]) {
    document.addEventListener(event, () => (touched = performance.now()), true);
  }
  const show = (values) => {
    shown = performance.now();
    return values;
  };

  function refine(changes) {
    const given = params();
    given.delete("after"); // another list begins at its first page
    for (const [name, value] of Object.entries(changes)) value ? given.set(name, value) : given.delete(name);
    const text = given.toString().replaceAll("%2C", ",");
    const next = text ? "?" + text : "";
    if (next === window.location.search) return;
    window.history.replaceState(window.history.state, "", window.location.pathname + next);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate")); // by which dcc.Location reads the address again
  }

  function pageAt(pathname, pages) {
    const trimmed = (path) => (path || "/").replace(/^\/+|\/+$/g, "");
    const found = Object.values(pages).find(({ path, within }) => !within && trimmed(path) === trimmed(pathname));
    return found || Object.values(pages).find(({ path, within }) => within && pathname.startsWith(path));
  }

  const element = (type, props) => ({ namespace: "dash_html_components", type, props });

  // A chip for each filter of the address, and for each name in it that nobody knows.
  function chips(given, page, known) {
    const own = new Set([...FRAME, ...((page && page.own) || [])]);
    return [...given.entries()].filter(([name]) => !own.has(name) && !name.startsWith("utm_")).map(([name, value]) => {
      const [dimension, operation] = name.split(".");
      const sign = known.signs[operation ? "." + operation : ""];
      const label = known.dimensions[dimension];
      const understood = label && sign;
      const text = understood ? label + (sign === ":" ? ": " : " " + sign + " ") + value : name + "=" + value + " (unknown, not applied)";
      return element("Button", {
        type: "button", className: "chip" + (understood ? "" : " unknown"), title: "Remove this filter",
        "data-filter": name, "aria-label": "Remove filter " + text,
        children: [element("Span", { children: text }), element("Span", { children: "×", className: "chip-x", "aria-hidden": "true" })],
      });
    });
  }

  function titled(given, page, days, known) {
    const range = known.ranges[given.get("range") || (days.range === "days" ? "" : known.range)];
    const parts = [page && page.title];
    if (page && page.own.includes("name")) parts.push(given.get("name"));
    if (page && page.controls.includes("module")) parts.push(given.get("module"));
    if (page && page.controls.includes("range")) parts.push(range || (days.days[0] ? days.days.join(" to ") : ""));
    return [...parts, "Pharos"].filter(Boolean).join(" · ");
  }

  // The date button's name contains what it shows, so that it can be said to a voice control.
  function nameDays([from, to]) {
    const named = (day) => new Date(day).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }).replace("Sept", "Sep");
    const text = from && to ? named(from) + " – " + named(to) + " (first and last day, UTC)" : "First and last day (UTC)";
    window.dash_clientside.set_props("range-days", { "aria-label": text });
  }

  // The focus must not go with a chip: it moves to the next one, or to the button that adds one.
  function remove(chip) {
    const chips = () => [...document.querySelectorAll("[data-filter]")];
    const place = chips().indexOf(chip);
    refine({ [chip.dataset.filter]: "" });
    const waiting = setInterval(() => {
      if (chip.isConnected) return;
      clearInterval(waiting);
      const left = chips();
      if (document.activeElement === document.body) (left[Math.min(place, left.length - 1)] || document.getElementById("filter-picker-target")).focus();
    }, 50);
    setTimeout(clearInterval, 10000, waiting);
  }

  document.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-filter]");
    if (chip) remove(chip);
    const view = event.target.closest("[data-view]");
    if (view) window.dash_clientside.set_props("view-deleted", { data: { name: view.dataset.view, time: Date.now() } });
  });

  const CHOICES = {
    "module-filter": (module) => ({ module }),
    "grain-filter": (grain) => ({ grain: grain === "day" ? "" : grain }),
    "compare-filter": (compare) => ({ compare: compare === "previous" ? "" : compare }),
    "range-today": (checked) => ({ today: checked ? "yes" : "" }),
  };

  const pharos = {
    refine,
    showFilters(search, pathname, modules, pages, known) {
      const given = new URLSearchParams(search || "");
      const page = pageAt(pathname, pages);
      const days = chosenRange(given, known, modules && modules.young);
      const links = window.dash_clientside.callback_context.outputs_list[8];
      // Other pages do not know the parameters of this one.
      const carried = new URLSearchParams([...given].filter(([name]) => !((page && page.own) || []).includes(name))).toString().replaceAll("%2C", ",");
      document.title = titled(given, page, days, known);
      nameDays(days.days);
      pharos.days = days;
      return show([
        days.range, days.days, days.withToday,
        given.get("grain") || "day", given.get("compare") || "previous",
        chips(given, page, known),
        window.location.href,
        page ? page.controls.join(" ") : "",
        links.map((link) => pages[link.id.nav].path + (carried ? "?" + carried : "")),
      ]);
    },
    showModule(search, modules) {
      const module = new URLSearchParams(search || "").get("module") || null;
      const known = (modules && modules.modules) || [];
      const unknown = module && !known.some(({ value }) => value === module);
      const label = modules ? module + " (no figures)" : module;
      return show([unknown ? [{ value: module, label }, ...known] : known, module]);
    },
    choose(value, id) {
      if (touched <= shown) return;
      const given = params();
      if (id === "range-filter") {
        if (!value || value === pharos.days.range) return;
        if (value === "days") document.getElementById("range-days").click();
        else refine({ range: value, from: "", to: "" });
      } else if (id === "range-days") {
        const [from, to] = value || [];
        if (!from || !to || (from === pharos.days.days[0] && to === pharos.days.days[1])) return;
        refine({ from, to, range: "", today: "" });
      } else if (id === "range-today") {
        if (value === pharos.days.withToday) return;
        if (pharos.days.range === "days") {
          const [from, to] = pharos.days.days;
          refine({ to: value ? today() : iso(Math.min(Date.parse(to), Date.parse(today()) - DAY)), from });
        } else refine(CHOICES[id](value));
      } else {
        const [[name, next]] = Object.entries(CHOICES[id](value));
        if ((given.get(name) || "") !== (next || "")) refine({ [name]: next });
      }
    },
    showConditions(name, known) {
      const all = Object.entries(known.conditions).map(([value, label]) => ({ value: value || "is", label }));
      return [known.compared.includes(name) ? all : all.slice(0, 1), "is", ""];
    },
    addFilter(clicks, name, condition, value) {
      if (!clicks) return window.dash_clientside.no_update;
      const missing = !name ? "filter-name" : !(value || "").trim() ? "filter-value" : "";
      document.getElementById(missing || "filter-picker-target").focus();
      if (missing) return window.dash_clientside.no_update;
      refine({ [name + (condition === "is" ? "" : condition)]: value.trim() });
      return false;
    },
    showStatuses(search, statuses) {
      const status = new URLSearchParams(search || "").get("status") || "";
      const chosen = status && !status.startsWith("!") ? status.split(",") : [];
      return show([[...new Set([...statuses, ...chosen])], chosen]);
    },
    chooseStatuses(statuses) {
      const status = (statuses || []).join(",");
      const before = params().get("status") || "";
      if (touched > shown && status !== before && !(status === "" && before.startsWith("!"))) refine({ status });
    },
    // What became of an action is told once: the address forgets it, and the page that shows it does not change.
    forgetOutcome(outcome) {
      const given = params();
      if (!outcome) return;
      for (const name of ["done", "undone", "lost", "undo"]) given.delete(name);
      const text = given.toString().replaceAll("%2C", ",");
      window.history.replaceState(window.history.state, "", window.location.pathname + (text ? "?" + text : "") + window.location.hash);
    },
    joinChosen(chosen) {
      return [(chosen || []).join(","), !(chosen || []).length];
    },
    toggleNavigation(opened, navbar) {
      return Object.assign({}, navbar, { collapsed: { mobile: !opened } });
    },
    close() {
      return false;
    },
    second(_first, second) {
      return second;
    },
    // Nothing before the rows are there: `shown` are those that the grid's own filters leave.
    countRows(clicks, shown, rows) {
      return clicks && shown && rows.length ? { press: clicks, rows: shown.length } : window.dash_clientside.no_update;
    },
    // Setting the data source makes the grid drop its rows and load the first block.
    reloadRows(_search, id) {
      window.dash_ag_grid.getApiAsync(id).then((api) => {
        const datasource = api.getGridOption("datasource");
        if (datasource) api.setGridOption("datasource", Object.assign({}, datasource));
      });
      return window.dash_clientside.no_update;
    },
    // The cells read it there.
    showHistory(history, id) {
      pharos.history = history;
      window.dash_ag_grid.getApiAsync(id).then((api) => api.refreshCells({ columns: ["trend", "first_seen"], force: true }));
      return window.dash_clientside.no_update;
    },
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside);
  window.dash_clientside.pharos = Object.assign(pharos, window.dash_clientside.pharos);
})();
