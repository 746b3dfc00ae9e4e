// The filters live in the address: `?module=&from=&to=&grain=&status=`. `show…` sets the controls from it, `choose…`
// writes a control's new value into it. A value that the address has already changes nothing, so the two never chase
// each other.

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

  function go(search, changes) {
    const params = new URLSearchParams(search || "");
    for (const [name, value] of Object.entries(changes)) value ? params.set(name, value) : params.delete(name);
    const text = params.toString().replaceAll("%2C", ",");
    const next = text ? "?" + text : "";
    if (next !== (search || "")) window.dash_clientside.set_props("url", { search: next });
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    pharos: {
      showFilters(search, pathname) {
        const params = new URLSearchParams(search || "");
        const { days, preset } = range(params);
        const path = (pathname || "/").replace(/\/+$/, "");
        const filtered = ["", "/features", "/licensing"].includes(path);
        const links = window.dash_clientside.callback_context.outputs_list[5];
        const paths = {
          overview: "/",
          features: "/features",
          licensing: "/licensing",
          access_log: "/access-log",
          rights: "/rights",
          health: "/health",
        };
        return [
          params.get("module") || null,
          preset,
          days,
          path === "/licensing" ? { display: "none" } : {},
          filtered ? {} : { display: "none" },
          links.map((link) => paths[link.id.nav] + (search || "")),
        ];
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
        const grain = new URLSearchParams(search || "").get("grain");
        return ["week", "month"].includes(grain) ? grain : "day";
      },
      chooseGrain(grain, search) {
        if (grain !== (new URLSearchParams(search || "").get("grain") || "day")) go(search, { grain });
      },
      showStatuses(search) {
        const status = new URLSearchParams(search || "").get("status") || "";
        return status && !status.startsWith("!") ? status.split(",") : [];
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
      pressed(clicks) {
        return Boolean(clicks);
      },
    },
  });
})();

// A session that has ended answers 401 to everything: back to the login, which leads here again.
(function () {
  const fetch = window.fetch;
  window.fetch = async function (...request) {
    const response = await fetch.apply(this, request);
    if (response.status === 401) {
      window.location.assign("/login?next=" + encodeURIComponent(window.location.pathname + window.location.search));
    }
    return response;
  };
})();
