// The filters live in the address: `?module=&from=&to=&grain=&status=`. `show…` sets the controls from the address, and
// `choose…` writes the value that a user chose into the address.
//
// A control that is given a value it does not know corrects it, which looks like a choice. Reading an address must not
// change it, so `choose…` only acts when the user has touched the page since the controls were last set.

(function () {
  const DAY = 86400000;
  const DEFAULT_DAYS = 30;
  const iso = (time) => new Date(time).toISOString().slice(0, 10);
  const today = () => iso(Date.now());

  function range(params) {
    const to = params.get("to") || today();
    const from = params.get("from") || (isNaN(Date.parse(to)) ? "" : iso(Date.parse(to) - (DEFAULT_DAYS - 1) * DAY));
    if (isNaN(Date.parse(from)) || isNaN(Date.parse(to))) return { days: [null, null], preset: "custom" };
    const length = Math.round((Date.parse(to) - Date.parse(from)) / DAY) + 1;
    return { days: [from, to], preset: to === today() && [7, 30, 90].includes(length) ? String(length) : "custom" };
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

  function go(search, changes) {
    if (touched <= shown) return;
    const params = new URLSearchParams(search || "");
    for (const [name, value] of Object.entries(changes)) value ? params.set(name, value) : params.delete(name);
    const text = params.toString().replaceAll("%2C", ",");
    const next = text ? "?" + text : "";
    if (next !== (search || "")) window.dash_clientside.set_props("url", { search: next });
  }

  function pageAt(pathname, pages) {
    const trimmed = (path) => (path || "/").replace(/^\/+|\/+$/g, "");
    return Object.values(pages).find(({ path }) => trimmed(path) === trimmed(pathname));
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    pharos: {
      showFilters(search, pathname, pages) {
        const { days, preset } = range(new URLSearchParams(search || ""));
        const page = pageAt(pathname, pages);
        const links = window.dash_clientside.callback_context.outputs_list[4];
        const hidden = { display: "none" };
        return show([
          preset,
          days,
          page && page.ranged ? {} : hidden,
          page && page.filtered ? {} : hidden,
          links.map((link) => pages[link.id.nav].path + (search || "")),
        ]);
      },
      showTitle(pathname, pages) {
        const page = pageAt(pathname, pages);
        document.title = page ? page.title + " · Pharos" : "Pharos";
      },
      showModule(search, modules) {
        const module = new URLSearchParams(search || "").get("module") || null;
        const known = modules || [];
        const unknown = module && !known.some(({ value }) => value === module);
        const label = modules ? module + " (no figures)" : module;
        return show([unknown ? [{ value: module, label }, ...known] : known, module]);
      },
      chooseModule(module, search) {
        if ((module || "") !== (new URLSearchParams(search || "").get("module") || "")) go(search, { module });
      },
      choosePreset(preset, search) {
        const shown = range(new URLSearchParams(search || ""));
        if (preset === shown.preset) return;
        if (preset === "custom") document.getElementById("range-days").click();
        else go(search, { from: iso(Date.parse(today()) - (Number(preset) - 1) * DAY), to: today() });
      },
      chooseDays(days, search) {
        const shown = range(new URLSearchParams(search || "")).days;
        if (!days || !days[0] || !days[1] || (days[0] === shown[0] && days[1] === shown[1])) return;
        go(search, { from: days[0], to: days[1] });
      },
      showGrain(search) {
        return show(new URLSearchParams(search || "").get("grain") || "day");
      },
      chooseGrain(grain, search) {
        if (grain !== (new URLSearchParams(search || "").get("grain") || "day")) go(search, { grain });
      },
      showStatuses(search, statuses) {
        const status = new URLSearchParams(search || "").get("status") || "";
        const chosen = status && !status.startsWith("!") ? status.split(",") : [];
        return show([[...new Set([...statuses, ...chosen])], chosen]);
      },
      chooseStatuses(statuses, search) {
        const status = (statuses || []).join(",");
        const shown = new URLSearchParams(search || "").get("status") || "";
        if (status !== shown && !(status === "" && shown.startsWith("!"))) go(search, { status });
      },
      toggleNavigation(opened, navbar) {
        return Object.assign({}, navbar, { collapsed: { mobile: !opened } });
      },
      closeNavigation() {
        return false;
      },
      countRows(clicks, rows) {
        return clicks && rows ? { press: clicks, rows: rows.length } : window.dash_clientside.no_update;
      },
      // Setting the data source makes the grid drop its rows and load the first block.
      reloadRows(_search, id) {
        window.dash_ag_grid.getApiAsync(id).then((api) => {
          const datasource = api.getGridOption("datasource");
          if (datasource) api.setGridOption("datasource", Object.assign({}, datasource));
        });
        return window.dash_clientside.no_update;
      },
    },
  });
})();
