// The map of the world. A page that has one asks for the outlines once it has figures; they are the same for all.

(function () {
  const SVG = "http://www.w3.org/2000/svg";
  const DOT = 7;
  let outlines;
  const asked = () => (outlines = outlines || fetch("/_map.json").then((answer) => {
    if (!answer.ok) throw new Error("no outlines");
    return answer.json();
  }).catch((error) => {
    outlines = undefined; // asked again with the next figures
    throw error;
  }));

  function shape(type, attributes) {
    const made = document.createElementNS(SVG, type);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  function drawn({ width, height, land, countries, dots, names }) {
    const svg = shape("svg", { viewBox: "0 0 " + width + " " + height, class: "world" });
    svg.append(shape("path", { d: land }));
    for (const [code, d] of Object.entries(countries)) svg.append(shape("path", { d, "data-country": code }));
    for (const [code, [cx, cy]] of Object.entries(dots)) svg.append(shape("circle", { cx, cy, r: DOT, "data-country": code }));
    for (const one of svg.querySelectorAll("[data-country]")) one.dataset.name = names[one.dataset.country];
    return svg;
  }

  function color(place, { steps, countries, none }) {
    for (const one of place.querySelectorAll("[data-country]")) {
      const [step, text] = countries[one.dataset.country] || [0, one.dataset.name + ": " + none];
      one.setAttribute("class", step ? "step-" + step : "");
      one.dataset.text = text;
    }
    const keys = [none, ...steps].map((text, step) => {
      const key = Object.assign(document.createElement("span"), { className: "map-key" });
      const swatch = document.createElement("span");
      swatch.className = "swatch" + (step ? " step-" + step : "");
      key.append(swatch, text);
      return key;
    });
    place.querySelector(".map-keys").replaceChildren(...keys.slice(1), keys[0]);
  }

  // What is under the pointer, as the charts say it.
  function told(place, event) {
    const label = place.querySelector(".map-label");
    const under = event.type === "pointermove" && event.target.closest("[data-country]");
    label.hidden = !under;
    if (!under) return;
    label.textContent = under.dataset.text;
    const box = place.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    label.style.left = Math.max(0, Math.min(x + 14, box.width - label.offsetWidth)) + "px";
    label.style.top = (y > label.offsetHeight + 12 ? y - label.offsetHeight - 8 : y + 20) + "px";
  }

  window.dash_clientside = window.dash_clientside || {};
  const pharos = (window.dash_clientside.pharos = window.dash_clientside.pharos || {});
  pharos.drawMap = async (figures) => {
    const output = window.dash_clientside.callback_context.outputs_list;
    if (!figures) return "world-map";
    const shapes = await asked();
    const place = document.getElementById(output.id);
    if (!place) return window.dash_clientside.no_update;
    if (!place.querySelector(".world")) {
      const part = (className) => Object.assign(document.createElement("div"), { className });
      place.replaceChildren(drawn(shapes), part("map-keys"), Object.assign(part("map-label"), { hidden: true }));
      for (const type of ["pointermove", "pointerleave"]) place.addEventListener(type, (event) => told(place, event));
      place.addEventListener("click", ({ target }) => {
        const { country } = (target.closest("[class^=step]") || { dataset: {} }).dataset;
        if (country) pharos.refine({ country });
      });
    }
    color(place, figures);
    return "world-map drawn";
  };

  // The map of a card as a picture on white paper: a drawing with its colors in itself, and its heading.
  pharos.mapPicture = async (place, title) => {
    const svg = place.querySelector(".world");
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const copy = svg.cloneNode(true);
    const [from, to] = [svg, copy].map((one) => [...one.children]);
    place.classList.add("on-paper"); // until the colors are read: nothing of it is seen
    from.forEach((one, number) => {
      const { display, fill, stroke, strokeWidth } = getComputedStyle(one);
      if (display === "none") to[number].remove();
      else Object.entries({ fill, stroke, "stroke-width": strokeWidth }).forEach(([name, value]) => to[number].setAttribute(name, value));
    });
    const { fontFamily } = getComputedStyle(place);
    const text = (words, attributes) => Object.assign(shape("text", { fill: "#1f2328", "font-family": fontFamily, ...attributes }), { textContent: words });
    copy.prepend(shape("rect", { y: -110, width, height: height + 170, fill: "#fff" }));
    copy.append(text(title[0], { x: 20, y: -62, "font-size": 32 }), text(title[1], { x: 20, y: -26, "font-size": 20 }));
    let x = 20;
    for (const key of place.querySelectorAll(".map-key")) {
      copy.append(shape("rect", { x, y: height + 12, width: 24, height: 24, fill: getComputedStyle(key.firstChild).backgroundColor }));
      copy.append(text(key.textContent, { x: x + 34, y: height + 32, "font-size": 22 }));
      x += 70 + 12 * key.textContent.length;
    }
    place.classList.remove("on-paper");
    copy.setAttribute("viewBox", "0 -110 " + width + " " + (height + 170));
    copy.setAttribute("width", width);
    copy.setAttribute("height", height + 170);
    const image = new Image();
    image.src = "data:image/svg+xml," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width, height: height + 170 });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/png");
  };
})();
