// The order in which the parts of a page are asked for. After a change of the address, what can be seen goes first, and
// the rest follows once that has been answered. What is asked again meanwhile, for another address, is no longer waited
// for: its requests are ended, and with them their questions to ClickHouse.

(function () {
  const CALLBACKS = "/_dash-update-component";
  // dash-renderer sends the requests of a change within some ms of each other.
  const PAUSE = 40;
  // Whoever waits is answered "nothing has changed".
  const nothing = () => new Response(null, { status: 204 });

  const asked = new Map(); // the outputs of each request that waits or is under way, and how to end it
  let waiting = [];
  let seen = 0; // requests under way for what can be seen
  let timer;

  // Others are a user's: they are sent at once, and none is ended.
  const ofAddress = ({ changedPropIds }) => (changedPropIds || []).every((id) => id === "url.search" || id.endsWith("-told.value"));

  // Where the outputs of a request are. What is not drawn yet is where it will be; an empty message is nowhere.
  function boxes({ outputs }) {
    const found = [];
    for (const { id } of [outputs].flat()) {
      let element = typeof id === "string" && document.getElementById(id);
      while (element && !element.offsetHeight) element = id.endsWith("-message") ? null : element.parentElement;
      if (element) found.push(element.getBoundingClientRect());
    }
    return found;
  }
  const top = (body) => Math.min(...boxes(body).map((box) => box.top));
  const inView = (body) => boxes(body).some((box) => box.top < window.innerHeight && box.bottom > 0);

  function send(chosen) {
    waiting = waiting.filter((each) => !chosen.includes(each));
    chosen.sort((one, other) => one.top() - other.top()).forEach((each) => each.begin());
  }

  // What was not drawn yet when it was asked for may be in view by now.
  function sendRestSoon() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const drawn = waiting.filter((each) => each.inView());
      if (!seen) send(drawn.length ? drawn : [...waiting]);
    }, PAUSE);
  }

  window.addEventListener("scroll", () => waiting.length && send(waiting.filter((each) => each.inView())), { capture: true, passive: true });

  const fetch = window.fetch;
  window.fetch = async function (...request) {
    if (!String(request[0]).includes(CALLBACKS)) return fetch.apply(this, request);
    const body = JSON.parse(request[1].body);
    if (!ofAddress(body)) return fetch.apply(this, request);

    asked.get(body.output)?.end();
    const ending = new AbortController();
    let begin;
    const turn = new Promise((resolve) => (begin = resolve));
    const own = { begin, inView: () => inView(body), top: () => top(body), end: () => (ending.abort(), begin()) };
    asked.set(body.output, own);
    await window.dash_clientside.pharos.shown(); // before that, a new page is nowhere
    if (!own.inView()) {
      waiting.push(own);
      sendRestSoon();
      await turn;
      waiting = waiting.filter((each) => each !== own);
    }
    const first = own.inView();
    if (first) seen += 1;
    try {
      if (ending.signal.aborted) return nothing();
      return await fetch.call(this, request[0], Object.assign({}, request[1], { signal: ending.signal }));
    } catch (error) {
      if (!ending.signal.aborted) throw error;
      return nothing();
    } finally {
      if (asked.get(body.output) === own) asked.delete(body.output);
      if (first) seen -= 1;
      if (waiting.length) sendRestSoon();
    }
  };
})();
