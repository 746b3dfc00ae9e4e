// Draws the HTML of `static_html.py`: texts, and lists of a tag, its properties and what is inside.

(function () {
  const drawn = (node) =>
    Array.isArray(node) ? window.React.createElement(node[0], node[1], ...node.slice(2).map(drawn)) : node;
  window.dashboard = { StaticHtml: ({ html }) => drawn(html) };
})();
