// Criteria moved by dragging their grip: a line shows where one would land, above a row or below the last of a theme.
function dragRows(root, tree, move) {
  let dragged = "";
  const clear = () => root.querySelectorAll(".wb-above, .wb-below").forEach((node) => node.classList.remove("wb-above", "wb-below"));

  function landing(event) {
    const section = event.target.closest(".wb-theme");
    const theme = [...tree.children].indexOf(section);
    if (theme < 0) return null;
    const row = event.target.closest(".wb-criterion");
    if (!row) return { theme, before: null, mark: section, below: true };
    const box = row.getBoundingClientRect();
    const below = event.clientY > box.top + box.height / 2;
    const before = below ? row.nextElementSibling : row;
    return { theme, before: before?.dataset.key ?? null, mark: row, below };
  }

  tree.addEventListener("dragstart", (event) => {
    if (!event.target.closest?.(".wb-grip")) return;
    const row = event.target.closest(".wb-criterion");
    dragged = row.dataset.key;
    event.dataTransfer.setData("text/plain", "");
    event.dataTransfer.setDragImage(row, 10, 10);
    event.dataTransfer.effectAllowed = "move";
  });
  tree.addEventListener("dragover", (event) => {
    const place = dragged && landing(event);
    if (!place) return;
    event.preventDefault();
    event.stopPropagation();
    clear();
    place.mark.classList.add(place.below ? "wb-below" : "wb-above");
  });
  tree.addEventListener("drop", (event) => {
    const place = dragged && landing(event);
    if (place) {
      event.preventDefault();
      event.stopPropagation();
      if (place.before !== dragged) move(dragged, place.theme, place.before);
    }
    dragged = "";
    clear();
  });
  root.addEventListener("dragend", () => {
    dragged = "";
    clear();
  });
}
