// The rubric as a tree. Rows live as long as their criterion, so that what is focused or typed in one stays when
// another changes. `host` = { act(question, content, { quiet }), revision(), ask, drafts }.

function iconButton(sign, title, click) {
  return element("button", { type: "button", class: "wb-tool", title, "aria-label": title, tabIndex: -1, on: { click } }, sign);
}

function weightInput(label, commit) {
  let stored = "1";
  const box = element("input", { class: "wb-weight", inputmode: "decimal", "aria-label": label, title: label, size: 4 });
  const settle = async () => {
    if (box.value.trim() === stored) return void (box.value = stored);
    if (!(await commit(box.value.trim()))) box.value = stored;
  };
  box.addEventListener("change", settle);
  box.addEventListener("focus", () => box.select());
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    if (event.key === "Escape") box.value = stored;
    event.preventDefault();
    event.stopPropagation();
    box.closest("[data-row]").focus();
  });
  return {
    box,
    update(weight) {
      const typing = box === document.activeElement && box.value !== stored;
      stored = String(weight);
      if (!typing) box.value = stored;
      box.classList.toggle("wb-plain", weight === 1);
    },
  };
}

function findingLines(findings) {
  return findings.map(({ kind, message }) =>
    element("div", { class: "wb-finding" }, element("b", { class: "wb-warn" }, kind), " ", foreign(message)),
  );
}

function criterionRow(key, host) {
  let view = null;
  let drafts = {}; // of the text and of the levels
  let gone = false;
  const enabled = element("input", { type: "checkbox", class: "wb-enabled", tabIndex: -1 });
  const id = element("span", { class: "wb-id" });
  const text = element("div", { class: "wb-text", title: "Edit (Enter)" });
  const levels = element("div", { class: "wb-levels", title: "Edit levels (l)" });
  const findings = element("div", { class: "wb-findings" });
  const slot = element("div");
  const levelSlot = element("div");
  const origin = element("div", { class: "wb-origin", hidden: true });
  const weight = weightInput(`Weight of ${key}`, (value) => act("weight", { weight: value }));
  const grip = element("span", { class: "wb-grip", draggable: true, title: "Drag to move (Alt+↑, Alt+↓)", "aria-hidden": "true" }, "⠿");
  const tools = element(
    "span",
    { class: "wb-tools" },
    iconButton("↑", `Move ${key} up (Alt+↑)`, () => shift(-1)),
    iconButton("↓", `Move ${key} down (Alt+↓)`, () => shift(1)),
    iconButton("≡", `Levels of ${key} (l)`, () => editLevels()),
    iconButton("◷", `Where ${key} came from (o)`, () => toggleOrigin()),
    iconButton("✕", `Remove ${key} (Delete)`, () => remove()),
  );
  const node = element(
    "li",
    { class: "wb-criterion", tabIndex: -1, data: { row: "criterion", key } },
    element("div", { class: "wb-lead" }, grip, enabled, id),
    element("div", { class: "wb-body" }, text, slot, levels, levelSlot, findings, origin),
    element("div", { class: "wb-side" }, tools, weight.box),
  );
  enabled.addEventListener("change", () => {
    act("enable", { enabled: enabled.checked });
    node.focus();
  });
  text.addEventListener("click", () => window.getSelection().isCollapsed && editText());
  levels.addEventListener("click", () => window.getSelection().isCollapsed && editLevels());

  const act = (question, content) => host.act(question, { key, revision: host.revision(), ...content });
  const shift = (by) => act("shift", { by });
  const remove = () => act("remove", {});

  function open(name, place, shown, options) {
    if (drafts[name]) return drafts[name].focus();
    const locked = name === "text" ? view.locked : view.levels_locked;
    if (locked) return host.say(`${key}: ${locked}`, "wb-warn");
    const done = (focused) => {
      delete drafts[name];
      shown.hidden = false;
      refresh();
      if (gone) node.remove();
      if (focused && !gone) node.focus();
    };
    const draft = openDraft({ revision: host.revision(), done, ...options });
    drafts[name] = draft;
    shown.hidden = true;
    place.replaceChildren(draft.node);
    draft.focus();
  }

  const applyText = (typed, revision) => host.ask("text", { key, revision, text: typed });
  const applyLevels = (typed, revision) => host.ask("levels", { key, revision, text: typed });
  function editText() {
    open("text", slot, text, { label: `Text of ${key}`, text: view.text, apply: applyText });
  }
  function editLevels() {
    const hint = "a score and its text a line, such as 1: all are there";
    open("levels", levelSlot, levels, { label: `Levels of ${key}`, text: view.levels_text, apply: applyLevels, lines: true, hint });
  }

  async function toggleOrigin(show = origin.hidden) {
    origin.hidden = !show;
    if (!show) return;
    if (!origin.firstChild) origin.append(element("span", { class: "wb-faint" }, "…"));
    try {
      const { value } = await host.ask("origin", { key });
      origin.replaceChildren(...originView(value));
    } catch (error) {
      origin.replaceChildren(element("span", { class: "wb-bad" }, error.message));
    }
  }

  function refresh() {
    node.classList.toggle("wb-off", !view.enabled || view.weight === 0);
    node.classList.toggle("wb-edited", view.edited);
    enabled.checked = view.enabled;
    enabled.setAttribute("aria-label", `${key} enabled`);
    enabled.title = "Enabled (x)";
    id.replaceChildren(foreign(key));
    id.title = view.edited ? `${key}: edited since it was saved` : key;
    text.replaceChildren(foreign(view.text));
    if (view.locked) text.append(element("span", { class: "wb-faint" }, ` (${view.locked})`));
    levels.replaceChildren(
      ...view.levels.map((level) => element("div", {}, element("span", { class: "wb-score" }, String(level.score)), foreign(level.text))),
    );
    findings.replaceChildren(...findingLines(view.findings));
    weight.update(view.weight);
  }

  return {
    node,
    key,
    editText,
    editLevels,
    shift,
    remove,
    toggleOrigin,
    focusWeight: () => weight.box.focus(),
    toggle: () => act("enable", { enabled: !view.enabled }),
    get typing() {
      return Boolean(drafts.text || drafts.levels);
    },
    update(next) {
      const same = !gone && JSON.stringify(next) === JSON.stringify(view);
      if (gone) drafts.text?.adopt(applyText);
      gone = false;
      view = next;
      node.classList.remove("wb-gone");
      drafts.text?.update(view.text, host.revision());
      drafts.levels?.update(view.levels_text, host.revision());
      if (same) return;
      refresh();
      if (!origin.hidden) toggleOrigin(true);
    },
    // Removed elsewhere: what is being typed in it stays until it is added or discarded.
    orphan() {
      gone = true;
      node.classList.add("wb-gone");
      if (drafts.text) drafts.text.orphan((typed) => host.addAtEnd(typed));
      else drafts.levels?.orphan(async () => Promise.reject(new Error("its criterion is gone: copy what you need")));
    },
  };
}

function themeSection(index, host) {
  let view = null;
  let draft = null;
  let adding = null;
  const name = element("span", { class: "wb-theme-name", title: "Rename (Enter)" });
  const slot = element("div");
  const addSlot = element("div");
  const weight = weightInput(`Weight of theme ${index + 1}`, (value) => act("theme_weight", { weight: value }));
  const head = element(
    "div",
    { class: "wb-theme-head", tabIndex: -1, data: { row: "theme", theme: index } },
    name,
    element("span", { class: "wb-space" }),
    element(
      "span",
      { class: "wb-tools" },
      iconButton("＋", `Add a criterion to theme ${index + 1} (n)`, () => add(null)),
      iconButton("↑", `Move theme ${index + 1} up (Alt+↑)`, () => shift(-1)),
      iconButton("↓", `Move theme ${index + 1} down (Alt+↓)`, () => shift(1)),
      iconButton("✕", `Remove theme ${index + 1} and its criteria (Delete)`, () => remove()),
    ),
    weight.box,
  );
  const list = element("ul", { class: "wb-criteria" });
  const node = element("section", { class: "wb-theme" }, head, slot, list, addSlot);
  name.addEventListener("click", () => editText());

  const act = (question, content) => host.act(question, { theme: index, revision: host.revision(), ...content });
  const shift = (by) => act("shift_theme", { by });
  const remove = () => act("remove_theme", {});

  function editText() {
    if (draft) return draft.focus();
    if (view.locked) return host.say(`theme ${index + 1}: ${view.locked}`, "wb-warn");
    const apply = (typed, revision) => host.ask("rename_theme", { theme: index, revision, name: typed });
    const done = (focused) => {
      draft = null;
      head.hidden = false;
      if (focused) head.focus();
    };
    draft = openDraft({ label: `Name of theme ${index + 1}`, text: view.name, revision: host.revision(), apply, done, hint: "may be empty" });
    head.hidden = true;
    slot.replaceChildren(draft.node);
    draft.focus();
  }

  // A new criterion exists once it has a text; until then it is only a draft of this tab.
  function add(after) {
    if (adding) return adding.focus();
    const apply = (text, revision) => host.add({ text, revision, theme: index, after });
    const done = () => (adding = null);
    adding = openDraft({ label: "Text of the new criterion", text: "", revision: host.revision(), apply, done });
    const row = after && [...list.children].find((each) => each.dataset.key === after);
    if (row) row.querySelector(".wb-body").append(adding.node);
    else addSlot.replaceChildren(adding.node);
    adding.focus();
  }

  return {
    node,
    list,
    head,
    editText,
    shift,
    remove,
    add,
    focusWeight: () => weight.box.focus(),
    update(next) {
      view = next;
      draft?.update(view.name, host.revision());
      name.replaceChildren(view.name ? foreign(view.name) : element("span", { class: "wb-faint" }, "(no heading)"));
      head.classList.toggle("wb-unnamed", !view.name);
      weight.update(view.weight);
      node.classList.toggle("wb-off", view.weight === 0);
    },
  };
}

// Puts nodes in order without moving the one that has the focus, which would lose it.
function arrange(parent, nodes) {
  if (parent.children.length === nodes.length && nodes.every((node, i) => parent.children[i] === node)) return;
  const focused = nodes.findIndex((node) => node.parentNode === parent && node.contains(document.activeElement));
  for (const child of [...parent.children]) if (!nodes.includes(child)) child.remove();
  if (focused < 0) return parent.append(...nodes);
  const pivot = nodes[focused];
  for (const node of nodes.slice(0, focused)) parent.insertBefore(node, pivot);
  parent.append(...nodes.slice(focused + 1));
}
