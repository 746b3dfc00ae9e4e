// dash-renderer changes its state hundreds of times for each change of the address, and tells React of each by itself:
// every component then looks whether it is concerned. Here React is told once, when all that goes on at the moment is
// done. What a user types or clicks is shown at once: an input must not fall behind.

(function () {
  const pharos = { shown: () => Promise.resolve() };
  window.dash_clientside = Object.assign({}, window.dash_clientside);
  window.dash_clientside.pharos = Object.assign(window.dash_clientside.pharos || {}, pharos);

  // The listener, told of many changes as of one.
  function together(listener) {
    const { port1, port2 } = new MessageChannel();
    let soon; // until then, what has changed is not shown
    let done;
    port1.onmessage = () => {
      soon = undefined;
      try {
        listener();
      } finally {
        done();
      }
    };
    window.dash_clientside.pharos.shown = () => soon || Promise.resolve();
    return () => {
      if (window.event instanceof UIEvent) return listener();
      if (soon) return;
      soon = new Promise((resolve) => (done = resolve));
      port2.postMessage(null); // unlike a timer, it has no least delay
    };
  }

  // dash-renderer adds its store here once its own parts have subscribed; what subscribes later is React.
  const stores = (window.dash_stores = window.dash_stores || []);
  stores.push = (store) => {
    const subscribe = store.subscribe;
    store.subscribe = (listener) => subscribe(together(listener));
    return Array.prototype.push.call(stores, store);
  };
})();
