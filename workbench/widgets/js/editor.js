const EDITOR_KEYS = [
  ["↑ ↓ j k", "go through themes and criteria"],
  ["Enter", "edit the text, or a theme's name"],
  ["w", "edit the weight"],
  ["l", "edit the levels"],
  ["x", "enable or disable"],
  ["n", "new criterion below"],
  ["t", "new theme"],
  ["Alt+↑ Alt+↓", "move"],
  ["Delete", "remove"],
  ["o", "where it came from"],
  ["Ctrl+z", "undo"],
  ["Ctrl+Shift+z Ctrl+y", "redo"],
  ["s", "save as a new version"],
  ["d", "compare versions"],
  ["r", "check the file"],
];
const CHECK_MS = 10_000; // only while the editor has the focus: a kernel that is asked for ever never counts as idle

function mountEditor(root, model) {
  const kernel = kernelOf(model);
  const rows = new Map(); // by criterion
  let themes = []; // as they are shown
  let view = null;
  let selected = null; // what the keyboard is at: a row or a theme's head
  let checked = 0;
  let acting = Promise.resolve();

  const host = {
    ask: kernel.ask,
    revision: () => view.revision,
    say,
    // One after the other: what is done next is done to what the last one led to, so `content()` is asked for only then.
    act: (question, content = () => ({})) => (acting = acting.then(() => host.send(question, content))),
    async send(question, content) {
      try {
        await kernel.ask(question, content());
        say("");
        return true;
      } catch (error) {
        say(error.message, "wb-bad");
        return false;
      }
    },
    async add(content) {
      const { value } = await kernel.ask("add", content);
      select(rows.get(value.criterion)?.node);
    },
    addAtEnd: (text) => host.add({ text, revision: view.revision, theme: Math.max(0, view.themes.length - 1), after: null }),
  };

  // The frame.
  const title = element("span", { class: "wb-title" });
  const facts = element("div", { class: "wb-facts wb-faint" });
  const unsaved = element("span", { class: "wb-unsaved" });
  const undo = element("button", { type: "button", on: { click: () => host.act("undo") } }, "Undo");
  const redo = element("button", { type: "button", on: { click: () => host.act("redo") } }, "Redo");
  const save = element("button", { type: "button", title: "Save as a new version (s)", on: { click: saveVersion } }, "Save version");
  const compare = element("button", { type: "button", title: "Compare versions (d)", "aria-pressed": "false", on: { click: toggleVersions } }, "Compare");
  const status = element("div", { class: "wb-status", role: "status", "aria-live": "polite" });
  const news = element("div", { class: "wb-news", role: "alert", hidden: true });
  const findings = element("div", { class: "wb-findings" });
  const orphans = element("ul", { class: "wb-criteria" });
  const caption = element("div", { class: "wb-caption wb-faint", "aria-hidden": "true" }, "weight");
  const tree = element("div", { class: "wb-tree" });
  const newTheme = element("div");
  const addFirst = element("button", { type: "button", on: { click: () => addCriterion() } }, "Add a criterion (n)");
  const addTheme = element("button", { type: "button", on: { click: addThemeDraft } }, "Add a theme (t)");
  const sheet = keySheet(root, EDITOR_KEYS);
  const versions = versionsPanel(kernel.ask, toggleVersions);
  root.append(
    element("header", { class: "wb-bar" }, title, unsaved, element("span", { class: "wb-bar wb-right" }, undo, redo, save, compare, sheet.button)),
    facts,
    status,
    news,
    sheet.node,
    versions.node,
    findings,
    orphans,
    caption,
    tree,
    newTheme,
    element("footer", { class: "wb-bar wb-foot" }, addFirst, addTheme),
  );

  function say(message, kind = "wb-faint") {
    status.className = `wb-status ${kind}`;
    status.replaceChildren(foreign(message));
  }

  // Showing a state.
  function show(next) {
    if (view && next.revision < view.revision) return; // states are told by several threads
    view = next;
    title.replaceChildren(foreign(view.name));
    unsaved.textContent = view.unsaved ? (view.edits ? `● ${view.edits} unsaved edit${view.edits > 1 ? "s" : ""}` : "● not saved") : "";
    const count = `${view.enabled} ${view.enabled === 1 ? "criterion" : "criteria"}${view.free_text ? " (free text)" : ""}`;
    const kinds = [view.task, count, view.hash].join(" · ");
    facts.replaceChildren(
      foreign([kinds, view.file, view.provenance].filter(Boolean).join(" · ")),
      " · editing as ",
      foreign(view.author),
    );
    undo.disabled = !view.undoes;
    undo.title = view.undoes ? `Undo: ${view.undoes} (Ctrl+z)` : "Nothing to undo";
    redo.disabled = !view.redoes;
    redo.title = view.redoes ? `Redo: ${view.redoes} (Ctrl+Shift+z)` : "Nothing to redo";
    findings.replaceChildren(...findingLines(view.findings));
    showNews();
    showTree();
    versions.update(view);
  }

  function showNews() {
    news.hidden = !view.news;
    if (!view.news) return;
    const button = (word, question) => element("button", { type: "button", on: { click: () => host.act(question) } }, word);
    news.replaceChildren(
      foreign(view.news.message),
      element(
        "span",
        { class: "wb-choices" },
        view.news.kind === "changed" && button("Reload", "reload"),
        element("button", { type: "button", on: { click: saveVersion } }, "Save mine as a new version"),
        button("Go on", "keep"),
      ),
    );
  }

  function showTree() {
    const focused = document.activeElement;
    const selection = focused?.tagName === "TEXTAREA" && [focused.selectionStart, focused.selectionEnd];
    const live = new Set();
    const before = themes;
    const longest = Math.max(0, ...view.themes.flatMap((theme) => theme.criteria.map(({ key }) => key.length)));
    root.style.setProperty("--wb-ids", `${Math.min(12, Math.max(3, longest))}ch`); // texts begin in one column
    const order = places();
    const held = root.contains(focused) && focused === selected;
    themes = matchedThemes();
    view.themes.forEach((theme, index) => {
      themes[index].update(theme, index);
      const nodes = theme.criteria.map((criterion) => {
        live.add(criterion.key);
        if (!rows.has(criterion.key)) rows.set(criterion.key, criterionRow(criterion.key, host));
        const row = rows.get(criterion.key);
        row.update(criterion);
        return row.node;
      });
      arrange(themes[index].list, nodes);
    });
    for (const gone of before) if (!themes.includes(gone)) orphans.append(...gone.orphans());
    for (const [key, row] of rows) if (!live.has(key)) removeRow(key, row);
    arrange(tree, themes.map((theme) => theme.node));
    if (focused !== document.activeElement && root.contains(focused)) {
      focused.focus({ preventScroll: true });
      if (selection) focused.setSelectionRange(...selection);
    }
    caption.hidden = !themes.length;
    if (!selected || !root.contains(selected)) select(nearest(order), held);
  }

  // Where the keyboard goes when the row it was at is gone.
  function nearest(order) {
    const at = order.indexOf(selected);
    const left = (node) => root.contains(node);
    return order.slice(at + 1).find(left) ?? order.slice(0, Math.max(0, at)).findLast(left) ?? places()[0];
  }

  // The section of every theme, known by the criteria it shares with what was shown, or by its name.
  function matchedThemes() {
    const left = new Set(themes);
    const take = (found) => (found && left.delete(found) ? found : null);
    const shared = view.themes.map((theme) => take([...left].find((section) => section.matches(theme))));
    const named = shared.map((section, i) => section ?? take([...left].find((each) => each.called(view.themes[i].name))));
    return named.map((section) => section ?? themeSection(host));
  }

  function removeRow(key, row) {
    if (row.typing) {
      if (row.node.parentNode !== orphans) orphans.append(row.node);
      row.orphan();
      return;
    }
    row.node.remove();
    rows.delete(key);
  }

  // The keyboard's place.
  const places = () => [...root.querySelectorAll("[data-row]")].filter((node) => !node.hidden);

  function select(node, focus = true) {
    if (selected) selected.tabIndex = -1;
    selected = node ?? null;
    if (!selected) return;
    selected.tabIndex = 0;
    if (focus) selected.focus({ preventScroll: true });
    if (focus) selected.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const all = places();
    select(all[Math.max(0, Math.min(all.length - 1, all.indexOf(selected) + by))]);
  }

  function chosen() {
    if (!selected || !root.contains(selected)) return null;
    return selected.dataset.key ? rows.get(selected.dataset.key) : themes.find((theme) => theme.head === selected);
  }

  function addCriterion() {
    if (view.themes.length) (chosen() ?? themes.at(-1)).addBelow();
    else firstCriterion();
  }

  function firstCriterion() {
    const apply = (text, revision) => host.add({ text, revision, theme: 0, after: null });
    draftAtEnd("New criterion", apply);
  }

  function addThemeDraft() {
    const apply = (name) => kernel.ask("add_theme", { name });
    draftAtEnd("Name of the new theme", apply, () => select(themes.at(-1)?.head));
  }

  function draftAtEnd(label, apply, then = () => {}) {
    if (newTheme.firstChild) return newTheme.querySelector("textarea").focus();
    const draft = openDraft({ label, text: "", revision: view.revision, apply, done: (focused) => focused && then(), hint: label.toLowerCase() });
    newTheme.replaceChildren(draft.node);
    draft.focus();
  }

  // Versions and the file.
  async function saveVersion() {
    save.disabled = true;
    try {
      const { value } = await kernel.ask("save");
      say(`Saved as ${value.file}.`, "wb-good");
    } catch (error) {
      say(error.message, "wb-bad");
    }
    save.disabled = false;
  }

  async function toggleVersions() {
    const opening = !versions.open;
    compare.setAttribute("aria-pressed", String(opening));
    await versions.toggle(view);
    if (!opening) (selected ?? root).focus();
  }

  function undoOrRedo(event) {
    host.act(event.shiftKey ? "redo" : "undo");
  }

  function check() {
    if (!view || Date.now() - checked < 1000) return;
    checked = Date.now();
    kernel.ask("check").catch(() => {}); // a kernel that is gone is told when something is done
  }

  ownKeyboard(root, {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    j: () => step(1),
    k: () => step(-1),
    Enter: () => chosen()?.editText(),
    w: () => chosen()?.focusWeight(),
    l: () => chosen()?.editLevels?.(),
    x: () => chosen()?.toggle?.(),
    n: addCriterion,
    t: addThemeDraft,
    "Alt+ArrowUp": () => chosen()?.shift(-1),
    "Alt+ArrowDown": () => chosen()?.shift(1),
    Delete: () => chosen()?.remove(),
    o: () => chosen()?.toggleOrigin?.(),
    "Ctrl+z": undoOrRedo,
    "Ctrl+Z": undoOrRedo, // Shift or Caps Lock
    "Ctrl+y": () => host.act("redo"),
    s: saveVersion,
    d: toggleVersions,
    r: check,
  }, sheet);
  root.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-row]") ?? event.target.closest(".wb-theme")?.querySelector("[data-row]");
    if (row && row !== selected) select(row, false);
    check();
  });
  dragRows(root, tree, (key, theme, before) => {
    const content = { key, revision: view.revision, theme, before }; // the place is one of what was shown
    host.act("move", () => content);
  });
  const timer = setInterval(() => document.hasFocus() && root.contains(document.activeElement) && check(), CHECK_MS);

  async function load() {
    try {
      const { value } = await kernel.ask("state");
      show(value);
      say("");
    } catch (error) {
      say(error.message, "wb-bad");
    }
  }
  kernel.listen("state", show);
  kernel.listen("late", load);
  load();
  return () => {
    clearInterval(timer);
    kernel.close();
  };
}

export default {
  render({ model, el }) {
    const root = element("div", { class: "wb wb-widget wb-editor", role: "group", "aria-label": "Rubric editor" });
    el.append(root);
    return mountEditor(root, model);
  },
};
