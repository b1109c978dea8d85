// Any two versions of the rubric compared: those on disk, and the one being edited.
const NOW = ""; // what the kernel calls the rubric being edited

function versionsPanel(ask, close) {
  const from = element("select", { "aria-label": "Older version", on: { change: compare } });
  const to = element("select", { "aria-label": "Newer version", on: { change: compare } });
  const result = element("div", { class: "wb-diff", "aria-live": "polite" });
  const node = element(
    "section",
    { class: "wb-versions", hidden: true, "aria-label": "Compare versions" },
    element(
      "div",
      { class: "wb-bar" },
      element("b", {}, "Compare"),
      from,
      "with",
      to,
      element("button", { type: "button", class: "wb-right", on: { click: close } }, "Close"),
    ),
    result,
  );
  let current = null; // the state shown in the editor
  let asked = 0;

  async function refresh() {
    const { value: versions } = await ask("versions");
    const before = [from.value, to.value];
    const known = versions.length > 0 || from.options.length > 0;
    for (const select of [from, to]) {
      select.replaceChildren(
        ...versions.map((version) =>
          element("option", { value: version.file, disabled: Boolean(version.problem), title: version.problem }, label(version)),
        ),
        element("option", { value: NOW }, current?.unsaved ? "as edited now, not saved" : "as shown now"),
      );
    }
    const files = versions.filter((version) => !version.problem).map((version) => version.file);
    const chosen = from.dataset.chosen && known;
    from.value = chosen && [...files, NOW].includes(before[0]) ? before[0] : older(files);
    to.value = chosen && [...files, NOW].includes(before[1]) ? before[1] : NOW;
    await compare();
  }

  // What the current edits began from, or the version that the one shown was made from.
  function older(files) {
    if (current?.unsaved && files.includes(current.file)) return current.file;
    return files.includes(current?.parent) ? current.parent : (files.at(-1) ?? NOW);
  }

  async function compare(event) {
    if (event) from.dataset.chosen = "yes";
    const turn = (asked += 1);
    try {
      const { value } = await ask("diff", { before: from.value, after: to.value });
      if (turn === asked) result.replaceChildren(...diffRows(value));
    } catch (error) {
      if (turn === asked) result.replaceChildren(element("div", { class: "wb-bad" }, error.message));
    }
  }

  return {
    node,
    get open() {
      return !node.hidden;
    },
    async toggle(view) {
      node.hidden = !node.hidden;
      current = view;
      if (node.hidden) return;
      await refresh();
      from.focus();
    },
    update(view) {
      const moved = !current || current.file !== view.file || current.unsaved !== view.unsaved;
      current = view;
      if (node.hidden) return;
      if (moved) refresh();
      else if (from.value === NOW || to.value === NOW) compare();
    },
  };
}

function label(version) {
  if (version.problem) return `${version.file} (cannot be read)`;
  const when = minuteOf(version.time);
  return version.edits ? `${version.file} · ${version.edits} edits by ${version.author} · ${when}` : version.file;
}

function diffRows(diff) {
  const rows = [element("div", { class: "wb-faint" }, `${diff.sentence}${diff.unchanged ? ` · ${diff.unchanged} unchanged` : ""}`)];
  rows.push(...diff.themes.map((line) => element("div", {}, foreign(line))));
  for (const each of diff.criteria) {
    const sign = { added: "+", removed: "−" }[each.kind] ?? "~";
    rows.push(
      element(
        "div",
        { class: `wb-change wb-${each.kind}` },
        element("div", { class: "wb-change-id" }, `${sign} `, foreign(each.id), ` ${each.kind}`),
        element("div", { class: "wb-change-text" }, each.pieces.map(piece)),
        each.notes.map((note) => element("div", { class: "wb-faint" }, foreign(note))),
      ),
    );
  }
  return rows;
}

function piece({ sign, text }) {
  return element(sign === "added" ? "ins" : sign === "removed" ? "del" : "span", {}, foreign(text));
}
