// The rubric as a tree. Rows live as long as their criterion, so that what is focused or typed in one stays when
// another changes. What is done in them goes to `host`:
//
//   act(question, content) -> whether it was done; `content()` is called when its turn comes
//   ask(question, content) -> the kernel's answer, at once; rejects where a draft must stay
//   add({ text, revision, theme, after }), addAtEnd(text)   a new criterion
//   revision()             of the state shown
//   say(message, kind)     in the status line

function iconButton(sign, title, click) {
  return element("button", { type: "button", class: "wb-tool", title, "aria-label": title, tabIndex: -1, on: { click } }, sign);
}

function weightInput(label, commit) {
  let stored = "1";
  const box = element("input", { class: "wb-weight", inputmode: "decimal", "aria-label": label, title: `${label} (w)`, size: 4, tabIndex: -1 });
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

// What is being typed in one place of the tree, by kind; `shown` is hidden meanwhile, `closed(focused)` told afterwards.
function draftsOf(host, closed) {
  const drafts = {};
  function open(kind, place, shown, options) {
    if (drafts[kind]) return drafts[kind].focus();
    const done = (focused) => {
      delete drafts[kind];
      if (shown) shown.hidden = false;
      closed(focused);
    };
    drafts[kind] = openDraft({ revision: host.revision(), done, ...options });
    if (shown) shown.hidden = true;
    place.replaceChildren(drafts[kind].node);
    drafts[kind].focus();
  }
  return { drafts, open };
}

function criterionRow(key, host) {
  let view = null;
  let gone = false;
  const { drafts, open } = draftsOf(host, closed); // of the text, the levels, and a new criterion below
  const enabled = element("input", { type: "checkbox", class: "wb-enabled", tabIndex: -1 });
  const id = element("span", { class: "wb-id" });
  const text = element("div", { class: "wb-text", title: "Edit (Enter)" });
  const lock = element("div", { class: "wb-lock wb-warn" });
  const levels = element("div", { class: "wb-levels", title: "Edit levels (l)" });
  const findings = element("div", { class: "wb-findings" });
  const slot = element("div");
  const levelSlot = element("div");
  const addSlot = element("div");
  const origin = element("div", { class: "wb-origin", hidden: true });
  const weight = weightInput(`Weight of ${key}`, (value) => act("weight", () => ({ weight: value })));
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
    element("div", { class: "wb-body" }, text, lock, slot, levels, levelSlot, findings, origin, addSlot),
    element("div", { class: "wb-side" }, tools, weight.box),
  );
  enabled.addEventListener("change", () => {
    const wanted = enabled.checked;
    act("enable", () => ({ enabled: wanted }));
    node.focus();
  });
  text.addEventListener("click", () => window.getSelection().isCollapsed && editText());
  levels.addEventListener("click", () => window.getSelection().isCollapsed && editLevels());

  const act = (question, content) => host.act(question, () => ({ key, revision: host.revision(), ...content() }));
  const shift = (by) => act("shift", () => ({ by }));
  const remove = () => act("remove", () => ({}));

  function closed(focused) {
    refresh();
    if (gone && !Object.keys(drafts).length) node.remove();
    if (focused && !gone) node.focus();
  }

  const applyText = (typed, revision) => host.ask("text", { key, revision, text: typed });
  const applyLevels = (typed, revision) => host.ask("levels", { key, revision, text: typed });
  const refuse = (why) => host.say(`${key}: ${why}`, "wb-warn");
  function editText() {
    if (view.locked) return refuse(view.locked);
    open("text", slot, text, { label: `Text of ${key}`, text: view.text, apply: applyText });
  }
  function editLevels() {
    if (view.levels_locked) return refuse(view.levels_locked);
    const hint = "a score and its text a line, such as 1: all are there";
    open("levels", levelSlot, levels, { label: `Levels of ${key}`, text: view.levels_text, apply: applyLevels, lines: true, hint });
  }

  // A new criterion exists once it has a text; until then it is only a draft of this tab.
  function addBelow() {
    const apply = (text) => host.add({ text, revision: host.revision(), theme: 0, after: key });
    open("add", addSlot, null, { label: "Text of the new criterion", text: "", apply, hint: "new criterion" });
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
    lock.textContent = view.locked;
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
    addBelow,
    shift,
    remove,
    toggleOrigin,
    focusWeight: () => weight.box.focus(),
    toggle: () => act("enable", () => ({ enabled: !view.enabled })),
    get typing() {
      return Object.keys(drafts).length > 0;
    },
    update(next) {
      const same = !gone && JSON.stringify(next) === JSON.stringify(view);
      if (gone) Object.values(drafts).forEach((draft) => draft.adopt());
      gone = false;
      view = next;
      node.classList.remove("wb-gone");
      drafts.text?.update(view.text, host.revision());
      drafts.levels?.update(view.levels_text, host.revision());
      if (!same) refresh();
      if (!origin.hidden) toggleOrigin(true); // what it was measured beside may have changed
    },
    // Removed elsewhere: what is being typed in it stays until it is added or discarded.
    orphan() {
      gone = true;
      node.classList.add("wb-gone");
      drafts.text?.orphan(host.addAtEnd, "Add as a new criterion");
      drafts.add?.orphan(host.addAtEnd, "Add as a new criterion");
      drafts.levels?.orphan(() => Promise.reject(new Error("its criterion is gone: copy what you need")), "Apply");
    },
  };
}

// `matches(theme)` says whether it shows the theme another state has: themes have no id.
function themeSection(host) {
  let view = { criteria: [] };
  let index = 0;
  const { drafts, open } = draftsOf(host, (focused) => focused && head.isConnected && head.focus()); // of its name and of a new criterion
  const name = element("span", { class: "wb-theme-name", title: "Rename (Enter)" });
  const slot = element("div");
  const addSlot = element("div");
  const weight = weightInput("Weight of the theme", (value) => act("theme_weight", () => ({ weight: value })));
  const head = element(
    "div",
    { class: "wb-theme-head", tabIndex: -1, data: { row: "theme" } },
    name,
    element(
      "span",
      { class: "wb-tools wb-right" },
      iconButton("+", "Add a criterion to the theme (n)", () => addBelow()),
      iconButton("↑", "Move the theme up (Alt+↑)", () => shift(-1)),
      iconButton("↓", "Move the theme down (Alt+↓)", () => shift(1)),
      iconButton("✕", "Remove the theme and its criteria (Delete)", () => remove()),
    ),
    weight.box,
  );
  const list = element("ul", { class: "wb-criteria" });
  const node = element("section", { class: "wb-theme" }, head, slot, list, addSlot);
  name.addEventListener("click", () => editText());

  // Its index is looked up when its turn comes: what was done before may have moved or removed it.
  const act = (question, content) =>
    host.act(question, () => {
      if (!node.isConnected) throw new Error("the theme is gone");
      return { theme: index, revision: host.revision(), ...content() };
    });
  const shift = (by) => act("shift_theme", () => ({ by }));
  const remove = () => act("remove_theme", () => ({}));

  function editText() {
    if (view.locked) return host.say(view.locked, "wb-warn");
    const apply = (typed, revision) => host.ask("rename_theme", { theme: index, revision, name: typed });
    open("name", slot, head, { label: "Name of the theme", text: view.name, apply, hint: "may be empty" });
  }

  function addBelow() {
    const apply = (text) => host.add({ text, revision: host.revision(), theme: index, after: null });
    open("add", addSlot, null, { label: "Text of the new criterion", text: "", apply, hint: "new criterion" });
  }

  return {
    node,
    list,
    head,
    editText,
    addBelow,
    shift,
    remove,
    focusWeight: () => weight.box.focus(),
    matches: (theme) => theme.criteria.some((each) => view.criteria.some((one) => one.key === each.key)),
    called: (text) => view.name === text,
    update(next, place) {
      view = next;
      index = place;
      drafts.name?.update(view.name, host.revision());
      name.replaceChildren(view.name ? foreign(view.name) : element("span", { class: "wb-faint" }, "(no heading)"));
      head.classList.toggle("wb-unnamed", !view.name);
      weight.update(view.weight);
      node.classList.toggle("wb-off", view.weight === 0);
    },
    // Removed elsewhere: the drafts of what was being typed in it.
    orphans() {
      drafts.add?.orphan(host.addAtEnd, "Add as a new criterion");
      drafts.name?.orphan((text) => host.ask("add_theme", { name: text }), "Add as a new theme");
      return Object.values(drafts).map((draft) => draft.node);
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
