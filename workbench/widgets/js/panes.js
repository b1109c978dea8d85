// Images side by side under one zoom: wheel, drag and keys move all of them to the same place. Positions are fractions
// of an image, so images of different sizes stay together.
const MOST_ENLARGED = 32; // screen pixels of one image pixel

function imagePanes(root, onZoom, previews) {
  const grid = element("div", { class: "wb-panes" });
  const panes = new Map(); // by slot: a candidate's index, "source" or "difference"
  let zoom = 1; // 1 shows whole images
  let centre = [0.5, 0.5];

  const seen = () => [...panes.values()].filter((pane) => pane.picture && pane.frame.clientWidth);
  const fit = (pane) => Math.min(pane.frame.clientWidth / pane.width, pane.frame.clientHeight / pane.height);
  const extent = (pane) => [pane.width * fit(pane) * zoom, pane.height * fit(pane) * zoom];
  const room = (pane) => [pane.frame.clientWidth, pane.frame.clientHeight];
  const corner = (pane, axis) => {
    const [long, wide] = [extent(pane)[axis], room(pane)[axis]];
    return long <= wide ? (wide - long) / 2 : Math.min(0, Math.max(wide - long, wide / 2 - centre[axis] * long));
  };

  function place() {
    const shown = seen();
    const fits = shown.map(fit);
    zoom = Math.min(Math.max(8, MOST_ENLARGED / Math.min(...fits)), Math.max(Math.min(1, 1 / Math.max(...fits)), zoom));
    centre = centre.map((value, axis) => {
      const margin = Math.min(0.5, ...shown.map((pane) => room(pane)[axis] / 2 / extent(pane)[axis]));
      return Math.min(1 - margin, Math.max(margin, value));
    });
    for (const pane of shown) {
      const [width, height] = extent(pane);
      Object.assign(pane.picture.style, {
        width: `${Math.max(1, width)}px`,
        height: `${Math.max(1, height)}px`,
        transform: `translate(${corner(pane, 0)}px, ${corner(pane, 1)}px)`,
        imageRendering: fit(pane) * zoom * devicePixelRatio > 1 ? "pixelated" : "auto",
      });
    }
    onZoom(shown.length ? fits[0] * zoom : null);
  }

  function zoomBy(factor, pane, point) {
    const shown = pane?.picture ? pane : seen()[0];
    if (!shown) return;
    const at = point ?? room(shown).map((wide) => wide / 2);
    const under = at.map((value, axis) => (value - corner(shown, axis)) / extent(shown)[axis]);
    zoom *= factor;
    const after = extent(shown);
    centre = under.map((value, axis) => value + (room(shown)[axis] / 2 - at[axis]) / after[axis]);
    place();
  }

  // By pixels of the screen: dragging right shows what lies to the left.
  function panBy(dx, dy, pane = seen()[0]) {
    if (!pane?.picture) return;
    const now = extent(pane);
    centre = [centre[0] - dx / now[0], centre[1] - dy / now[1]];
    place();
  }

  function listenTo(pane) {
    const { frame } = pane;
    frame.addEventListener("wheel", (event) => {
      // Elsewhere the wheel scrolls the notebook, which must not be caught on its way past.
      if (!event.ctrlKey && !root.matches(":focus-within")) return;
      event.preventDefault();
      const box = frame.getBoundingClientRect();
      zoomBy(Math.exp(-event.deltaY / 400), pane, [event.clientX - box.left, event.clientY - box.top]);
    }, { passive: false });
    frame.addEventListener("pointerdown", (event) => frame.setPointerCapture(event.pointerId));
    frame.addEventListener("pointermove", (event) => {
      if (frame.hasPointerCapture(event.pointerId)) panBy(event.movementX, event.movementY, pane);
    });
  }

  function add(slot, label) {
    const frame = element("div", { class: "wb-frame", role: "img", "aria-label": label });
    const [name, size] = [element("b", {}, String(slot)), element("span", { class: "wb-faint" })];
    const figure = element("figure", { data: { slot: String(slot) } }, frame, element("figcaption", {}, name, " ", size));
    const pane = { frame, figure, name, size };
    listenTo(pane);
    panes.set(slot, pane);
    grid.append(pane.figure);
    return pane;
  }

  // Shows what `loading` resolves with, a URL, or says why it cannot be shown; `stale` says whether it comes too late.
  async function load(slot, loading, stale) {
    const pane = panes.get(slot);
    const image = element("img", { alt: "", draggable: "false" });
    let url = null;
    let why = "";
    try {
      url = await loading;
      image.src = url;
      await image.decode();
    } catch (error) {
      why = error instanceof DOMException ? "the browser cannot decode it" : error.message;
    }
    if (stale() || why) release(url);
    if (stale()) return;
    if (why) return pane.frame.replaceChildren(element("p", { class: "wb-missing" }, "no image: ", foreign(why)));
    pane.url = url;
    pane.size.textContent = `${image.naturalWidth}×${image.naturalHeight}${previews ? " preview" : ""}`;
    setPicture(pane, image, image.naturalWidth, image.naturalHeight);
  }

  function setPicture(pane, picture, width, height) {
    Object.assign(pane, { picture, width, height });
    pane.frame.replaceChildren(picture);
    place();
  }

  function showDifference(slots, name) {
    remove("difference");
    const images = slots?.map((slot) => panes.get(slot)?.picture);
    if (!slots) return place();
    const pane = add("difference", `difference of ${name}`);
    pane.name.textContent = `difference of ${name}`;
    if (images.every(Boolean)) {
      const { canvas, said } = differenceOf(...images);
      pane.size.textContent = said;
      setPicture(pane, canvas, canvas.width, canvas.height);
    } else {
      pane.frame.replaceChildren(element("p", { class: "wb-missing" }, "no difference: an image is missing or still loading"));
    }
    place();
  }

  function remove(slot) {
    const pane = panes.get(slot);
    release(pane?.url);
    pane?.figure.remove();
    panes.delete(slot);
  }

  const observer = new ResizeObserver(() => place());
  observer.observe(grid);
  return {
    node: grid,
    add,
    load,
    showDifference,
    zoomBy,
    panBy,
    name(slot, text, preferred) {
      const pane = panes.get(slot);
      pane.name.textContent = captioned(text, preferred);
      pane.figure.classList.toggle("wb-preferred", preferred);
    },
    arrange: (slots) => slots.forEach((slot) => panes.has(slot) && grid.append(panes.get(slot).figure)),
    reset() {
      zoom = 1;
      centre = [0.5, 0.5];
      place();
    },
    oneToOne() {
      const [first] = seen();
      if (first) zoomBy(1 / (fit(first) * zoom));
    },
    clear() {
      [...panes.keys()].forEach(remove);
      zoom = 1;
      centre = [0.5, 0.5];
    },
    close() {
      observer.disconnect();
      [...panes.keys()].forEach(remove);
    },
  };
}
