// A table of a card as a picture on white paper: each word, bar and colored cell where the page has it, and its heading.

(function () {
  const SCALE = 2; // pixels of the picture for one of the page
  const [PAD, HEAD] = [20, 64];
  const [TEXT, DIM] = ["#1f2328", "#59616b"];

  function* words(table) {
    const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
    const range = document.createRange();
    while (texts.nextNode()) {
      const text = texts.currentNode;
      if (text.parentElement.closest(".visually-hidden")) continue;
      for (const { 0: word, index } of text.data.matchAll(/\S+/g)) {
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        yield [word, text.parentElement, range.getBoundingClientRect()];
      }
    }
  }

  function draw(pen, table, title) {
    const box = table.getBoundingClientRect();
    const { fontFamily } = getComputedStyle(table);
    pen.scale(SCALE, SCALE);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, box.width + 2 * PAD, box.height + HEAD + PAD);
    title.forEach((words, number) => {
      pen.fillStyle = number ? DIM : TEXT;
      pen.font = (number ? "12px " : "600 16px ") + fontFamily;
      pen.fillText(words, PAD, 26 + 20 * number);
    });
    pen.translate(PAD - box.left, HEAD - box.top);
    for (const one of table.querySelectorAll("td, .share-bar, .share-bar > span")) {
      const { backgroundColor } = getComputedStyle(one);
      const { left, top, width, height } = one.getBoundingClientRect();
      pen.fillStyle = backgroundColor;
      pen.fillRect(left, top, width, height);
    }
    pen.textBaseline = "middle";
    for (const [word, within, { left, top, height }] of words(table)) {
      const { fontWeight, fontSize } = getComputedStyle(within);
      pen.fillStyle = within.closest("thead, .dim") ? DIM : TEXT;
      pen.font = fontWeight + " " + fontSize + " " + fontFamily;
      pen.fillText(word, left, top + height / 2);
    }
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside);
  window.dash_clientside.pharos = Object.assign(window.dash_clientside.pharos || {}, {
    tablePicture(table, title) {
      const box = table.getBoundingClientRect();
      const [width, height] = [SCALE * (box.width + 2 * PAD), SCALE * (box.height + HEAD + PAD)];
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      table.classList.add("on-paper"); // until the colors are read: nothing of it is seen
      draw(canvas.getContext("2d"), table, title);
      table.classList.remove("on-paper");
      return canvas.toDataURL("image/png");
    },
  });
})();
