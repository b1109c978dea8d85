// Thumbnails of all pairs in a row: only those in sight exist, and only their images are asked for.
const STRIP_STEP = 92; // pixels from one pair to the next
const STRIP_KEPT = 240; // images kept for scrolling back
const STRIP_AT_ONCE = 6; // questions under way

function thumbnailStrip(host, open, describe) {
  const line = element("div", { class: "wb-strip-line" });
  const node = element("div", { class: "wb-strip", role: "listbox", "aria-label": "pairs", tabIndex: -1 }, line);
  const urls = new Map(); // by key, the first asked for first; null for an image that cannot be shown
  const cells = new Map(); // by position
  let rows = [];
  let at = -1;
  let wanted = [];
  const asking = new Set();

  function draw() {
    const first = Math.max(0, Math.floor(node.scrollLeft / STRIP_STEP) - 2);
    const last = Math.min(rows.length, first + Math.ceil((node.clientWidth || 1200) / STRIP_STEP) + 5);
    for (const position of cells.keys()) if (position < first || position >= last) drop(position);
    for (let position = first; position < last; position += 1) if (!cells.has(position)) addCell(position);
    wanted = [...cells.values()].flatMap((cell) => [...cell.querySelectorAll("img")]).filter((image) => !image.src);
    next();
  }

  function drop(position) {
    const cell = cells.get(position);
    if (cell === document.activeElement) node.closest(".wb").focus({ preventScroll: true });
    cell.remove();
    cells.delete(position);
  }

  function addCell(position) {
    const row = rows[position];
    const images = row.images.slice(0, 3).map((key) => {
      const image = element("img", { alt: "", draggable: "false" });
      image.key = key;
      return image;
    });
    const { text, title } = describe(row);
    const cell = element("button", {
      type: "button", role: "option", class: "wb-cell", tabIndex: -1, title,
      "aria-label": `pair ${position + 1}, ${title}`, "aria-selected": String(position === at),
      style: { left: `${position * STRIP_STEP}px` }, on: { click: () => open(position) },
    }, element("span", { class: "wb-thumbs" }, images), element("span", { class: "wb-cell-name" }, `${position + 1}${text}`));
    cells.set(position, cell);
    line.append(cell);
  }

  function next() {
    while (asking.size < STRIP_AT_ONCE && wanted.length) {
      const { key } = wanted.shift();
      if (asking.has(key) || !pictures(key).length) continue; // it was scrolled out of sight meanwhile
      if (urls.has(key)) {
        fill(key);
        continue;
      }
      asking.add(key);
      host.image(key, "thumb").catch(() => null).then((url) => {
        asking.delete(key);
        keep(key, url);
        fill(key);
        next();
      });
    }
  }

  const pictures = (key) => [...line.querySelectorAll("img")].filter((image) => image.key === key);
  function fill(key) {
    for (const image of pictures(key)) {
      if (urls.get(key)) image.src = urls.get(key);
      else image.classList.add("wb-gone");
    }
  }

  function keep(key, url) {
    urls.set(key, url);
    const inSight = new Set([...line.querySelectorAll("img")].map((image) => image.key));
    for (const [old, each] of urls) {
      if (urls.size <= STRIP_KEPT) break;
      if (inSight.has(old)) continue;
      release(each);
      urls.delete(old);
    }
  }

  const redraw = () => {
    [...cells.keys()].forEach(drop);
    draw();
  };
  node.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  const observer = new ResizeObserver(draw);
  observer.observe(node);

  return {
    node,
    redraw,
    show(newRows) {
      rows = newRows;
      line.style.width = `${rows.length * STRIP_STEP}px`;
      redraw();
    },
    select(position) {
      at = position;
      const left = position * STRIP_STEP;
      if (left < node.scrollLeft || left + STRIP_STEP > node.scrollLeft + node.clientWidth) {
        node.scrollLeft = left - node.clientWidth / 2 + STRIP_STEP / 2;
      }
      for (const [each, cell] of cells) cell.setAttribute("aria-selected", String(each === at));
      draw();
    },
    close() {
      observer.disconnect();
      urls.forEach(release);
    },
  };
}
