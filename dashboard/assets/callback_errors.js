// The browser's half of the error path (see regions.py). When a callback gets no usable answer, an answer is made up that
// hides the region's content and says so: old figures must not stay under a newer filter.

(function () {
  const CALLBACKS = "/_dash-update-component";
  const TITLE = "This could not be read";
  const TEXT = "Pharos did not answer.";
  const element = (type, props) => ({ namespace: "dash_html_components", type, props });
  const again = () => element("Button", { type: "button", className: "again", "data-again": "yes", children: "Try again" });
  const message = () =>
    element("Div", { className: "notice", children: [element("Strong", { children: TITLE }), element("P", { children: TEXT }), again()] });

  // Where the page has a message of its own beside these.
  const silent = (id) => id === "modules-message" || id.endsWith("-freshness-message");

  // The values that show the message: by the names that regions.py gives to components.
  function failed(outputs) {
    const response = {};
    const set = (id, property, value) => (response[id] = Object.assign(response[id] || {}, { [property]: value }));
    for (const { id, property } of outputs) {
      if (typeof id !== "string") continue;
      if (property === "children") set(id, property, id.endsWith("-message") && !silent(id) ? message() : "");
      if (property === "style" && id.endsWith("-content")) set(id, property, { display: "none" });
    }
    return response;
  }

  function answer(request) {
    const body = JSON.parse(request[1].body);
    const response = failed([].concat(body.outputs).flat());
    return new Response(JSON.stringify({ multi: true, response }), { headers: { "Content-Type": "application/json" } });
  }

  const fetch = window.fetch;
  window.fetch = async function (...request) {
    const callback = String(request[0]).includes(CALLBACKS);
    let response;
    try {
      response = await fetch.apply(this, request);
    } catch (error) {
      if (!callback || error.name === "AbortError") throw error; // request_order.js has ended it
      return answer(request);
    }
    if (response.status === 401) {
      // The session has ended. The login leads back here.
      window.location.assign("/login?next=" + encodeURIComponent(window.location.pathname + window.location.search));
    } else if (callback && !response.ok) {
      return answer(request);
    }
    return response;
  };
})();
