// Paper is white: a page is printed in light colors, also where the screen is dark.
(function () {
  const root = document.documentElement;
  const scheme = "data-mantine-color-scheme";
  let shown;
  window.addEventListener("beforeprint", () => {
    shown = root.getAttribute(scheme);
    root.setAttribute(scheme, "light");
  });
  window.addEventListener("afterprint", () => {
    if (shown) root.setAttribute(scheme, shown);
  });
})();
