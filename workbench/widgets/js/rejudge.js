// The panel that judges chosen pairs again while a rubric is edited. Python holds the truth and tells when it changes;
// which flips are listed and chosen is each tab's own.
const REJUDGE_KEYS = [
  ["g", "judge again"], ["c", "cancel: what has arrived stays"], ["a", "judge changes automatically, on or off"],
  ["v", "flips against the baseline, or the previous version"], ["f", "all flips, then fixed, broken, … alone"],
  ["↓ j", "next flip"], ["↑ k", "previous flip"], ["r", "its reasons, before and after"], ["o", "open it in the viewer"],
  ["l", "leave each criterion out in turn: what it takes, then again to do it"],
  ["b", "compare with the rubric as it is now from here on"],
];
const REJUDGE_KINDS = ["fixed", "broken", "swap-only", "changed"];

function rejudgeLayout(press) {
  const button = (label, key, name, title) =>
    element("button", { type: "button", title: `${title} (${key})`, data: { action: name }, on: { click: () => press[name]() } }, `${label} (${key})`);
  const parts = {
    judge: button("Judge again", "g", "judge", "judge the rubric as it is, both orders"),
    cancel: button("Cancel", "c", "cancel", "send nothing more; what has arrived stays"),
    automatic: button("automatically", "a", "automatic", "judge every change that takes few enough calls"),
    leave: button("Leave one out", "l", "leave", "what each criterion is worth"),
    rebase: button("Set baseline", "b", "rebase", "compare with the rubric as it is now"),
    synthetic: syntheticPill(),
    rubric: element("span", { class: "wb-faint" }),
    seen: element("p", { class: "wb-faint wb-seen" }),
    status: element("div", { class: "wb-status", role: "status" }),
    progress: element("progress", { "aria-label": "verdicts", hidden: true }),
    problem: element("div", { class: "wb-problem", role: "alert", hidden: true }),
    leaving: element("div", { class: "wb-leaving", hidden: true }),
    table: element("div", { class: "wb-wide" }),
    against: element("div", { class: "wb-bar", role: "group", "aria-label": "flips against" }),
    said: element("div", { class: "wb-sentence" }),
    flips: element("div", { class: "wb-flips" }),
    worths: element("div", { class: "wb-wide" }),
  };
  parts.synthetic.hidden = true; // until it is known
  const root = element("section", { class: "wb wb-widget wb-rejudge", "aria-label": "re-judging" });
  const sheet = keySheet(root, REJUDGE_KEYS);
  root.append(
    element("div", { class: "wb-bar" }, element("b", {}, "Re-judge"),
      parts.synthetic, parts.rubric),
    element("div", { class: "wb-bar" }, parts.judge, parts.cancel, parts.automatic, parts.leave, parts.rebase,
      element("span", { class: "wb-right" }, sheet.button)),
    element("div", { class: "wb-now" }, parts.status, parts.progress),
    sheet.node, parts.problem, parts.leaving, parts.table, parts.against, parts.said, parts.flips, parts.worths, parts.seen);
  return { root, parts, sheet };
}

function statusOf(view, automatic) {
  if (view.doing === "judging" || view.doing === "leaving one out") return `${view.doing}: ${view.done} of ${view.wanted} verdicts`;
  if (!view.outlook) return view.doing ? "counting what is cached …" : "nothing to judge";
  const waits = automatic && view.outlook.tooMany ? `; more than ${view.mostCalls}, so it waits for “Judge again”` : "";
  const hint = view.outlook.hint ? ` (${view.outlook.hint})` : "";
  const stale = view.judged || !view.rows.length ? "" : "not judged yet: ";
  return `${stale}${view.outlook.line}${hint}${waits}`;
}

function renderRejudge({ model, el }) {
  const kernel = kernelOf(model);
  const images = new Map();
  let view = null, against = "baseline", kind = "all", chosen = null, alive = true;
  const unfolded = new Set();

  const press = {
    judge: () => tell("judge"),
    cancel: () => tell("cancel"),
    automatic: () => { model.set("automatic", !model.get("automatic")); model.save_changes(); showButtons(); },
    leave: () => tell(view?.leaving ? "leave_out" : "consider"),
    rebase: () => tell("rebase"),
    against: () => { against = against === "baseline" ? "previous" : "baseline"; showFlips(); },
    kind: () => {
      const offered = ["all", ...REJUDGE_KINDS.filter((each) => change()?.counts[each])];
      kind = offered[(offered.indexOf(kind) + 1) % offered.length];
      showFlips();
    },
    step: (by) => {
      const list = listed();
      if (!list.length) return;
      const at = list.findIndex((flip) => flip.id === chosen);
      const next = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : Math.max(0, Math.min(list.length - 1, at + by))];
      card(next.id)?.focus({ preventScroll: true });
      card(next.id)?.scrollIntoView({ block: "nearest" });
    },
  };
  const { root, parts, sheet } = rejudgeLayout(press);
  const tell = (question, content = {}) => kernel.ask(question, content).then(({ value }) => value).catch(fail);
  const change = () => view?.changes[against] ?? null;
  const listed = () => (change()?.flips ?? []).filter((flip) => kind === "all" || flip.kind === kind)
    .sort((a, b) => REJUDGE_KINDS.indexOf(a.kind) - REJUDGE_KINDS.indexOf(b.kind));
  const card = (id) => [...parts.flips.children].find((each) => each.dataset.pair === id);

  function fail(error) {
    parts.problem.replaceChildren(foreign(error.message));
    parts.problem.hidden = false;
  }

  // A part is made anew only when what it shows has changed, so that nothing jumps or loses the focus.
  const shown = new Map();
  function part(node, what, make) {
    const key = JSON.stringify(what);
    if (shown.get(node) === key) return;
    shown.set(node, key);
    const focused = node.contains(document.activeElement);
    node.replaceChildren(...[make()].flat().filter(Boolean));
    if (focused) (card(chosen) ?? root).focus({ preventScroll: true });
  }

  function showButtons() {
    const automatic = Boolean(model.get("automatic"));
    parts.automatic.setAttribute("aria-pressed", String(automatic));
    const busy = view?.doing === "judging" || view?.doing === "leaving one out";
    parts.cancel.disabled = !busy && !view?.leaving;
    parts.judge.disabled = view?.doing === "judging";
    parts.leave.disabled = view?.doing === "leaving one out";
    const status = view && statusOf(view, automatic);
    part(parts.status, status, () => (status ? foreign(status) : []));
    parts.progress.hidden = !busy;
    if (document.activeElement?.disabled && root.contains(document.activeElement)) root.focus({ preventScroll: true });
    if (busy) { parts.progress.max = view.wanted; parts.progress.value = view.done; }
  }

  function showFlips() {
    const found = change();
    const other = against === "baseline" ? "previous" : "baseline";
    if (!found && view?.changes[other]) { against = other; return showFlips(); }
    if (kind !== "all" && !found?.counts[kind]) kind = "all";
    const toggles = ["baseline", "previous"].filter((each) => view?.changes[each]);
    part(parts.against, [toggles, against, kind, found?.counts], () => {
      if (!found) return [];
      const pick = (label, pressed, choose) => element("button", { type: "button", "aria-pressed": String(pressed), on: { click: () => { choose(); showFlips(); } } }, label);
      const total = found.flips.length;
      return [element("span", {}, "Flips against"), ...toggles.map((each) => pick(each, against === each, () => (against = each))),
        element("kbd", {}, "v"), element("span", { class: "wb-gap" }), pick(`all ${total}`, kind === "all", () => (kind = "all")),
        ...REJUDGE_KINDS.filter((each) => found.counts[each] || each !== "changed").map((each) => pick(`${KIND_SIGNS[each]} ${found.counts[each]} ${each}`, kind === each, () => (kind = each))),
        element("kbd", {}, "f")];
    });
    part(parts.said, found && [found.sentence, found.test, found.unshared, found.name], () => found ? [
      element("div", {}, foreign(found.sentence)),
      element("div", { class: "wb-faint" }, `${found.test}; against `, foreign(found.name), found.unshared ? `; ${found.unshared} pairs not judged in both orders both times are left out` : "")] : []);
    part(parts.flips, [listed(), against, found?.name, found?.after, view?.opens], () => {
      const cards = listed().map((flip) => flipCard(flip, host));
      return cards.length || !found ? cards : [element("div", { class: "wb-faint" }, `No verdict on these ${found.n} pairs changed.`)];
    });
    for (const id of unfolded) unfold(id);
    mark();
  }

  function mark() {
    for (const each of parts.flips.children) each.setAttribute("aria-current", String(each.dataset.pair === chosen));
  }

  async function unfold(id) {
    const node = card(id)?.querySelector(".wb-reasons");
    if (!node || !node.hidden) return;
    node.hidden = false;
    card(id).querySelector("[aria-expanded]").setAttribute("aria-expanded", "true");
    const value = await tell("reasons", { pair: id, against });
    if (value) node.replaceChildren(...reasonsOf(value));
  }

  const host = {
    get opens() { return view?.opens; },
    choose: (id) => { chosen = id; mark(); },
    open: (id) => tell("open_pair", { pair: id }),
    fold: (id) => {
      const node = card(id)?.querySelector(".wb-reasons");
      if (!node) return;
      if (node.hidden) { unfolded.add(id); unfold(id); return; }
      unfolded.delete(id);
      node.hidden = true;
      card(id).querySelector("[aria-expanded]").setAttribute("aria-expanded", "false");
    },
    thumbnail: (pair, index) => {
      const key = JSON.stringify([pair, index]);
      if (!images.has(key)) {
        const image = kernel.ask("thumbnail", { pair, index }).then(({ value }) => value);
        image.catch(() => images.delete(key)); // asked for again when it is shown again
        images.set(key, image);
      }
      return images.get(key);
    },
  };

  function showView(next) {
    view = next;
    part(parts.rubric, [view.rubric, view.pairs], () => [foreign(view.rubric), ` · ${view.pairs} pairs, both orders · `, foreign(view.model)]);
    parts.synthetic.hidden = !view.synthetic;
    part(parts.seen, view.seen, () => view.seen);
    parts.problem.hidden = !view.problem;
    parts.problem.replaceChildren(foreign(view.problem));
    parts.leaving.hidden = !view.leaving;
    part(parts.leaving, view.leaving, () => view.leaving ? [
      foreign(`Leaving out each criterion in turn takes ${view.leaving.line}${view.leaving.hint ? ` (${view.leaving.hint})` : ""}. `),
      element("button", { type: "button", on: { click: press.leave } }, "Go on (l)"), " ",
      element("button", { type: "button", on: { click: press.cancel } }, "Not now (c)")] : []);
    part(parts.table, [view.rows, view.judged], () => view.rows.length ? accuracyTable(view.rows, view.judged) : []);
    part(parts.worths, view.worths, () => showWorths(view.worths));
    showButtons();
    showFlips();
  }

  function showWorths(worths) {
    if (!worths) return [];
    const notes = [
      worths.alone ? "It is the only criterion, so it is compared with no rubric." : "",
      worths.missing ? `${worths.missing} criteria are not judged yet: press l again to go on.` : "",
    ].filter(Boolean);
    return [element("h4", {}, "What each criterion is worth", view.synthetic ? " (synthetic)" : ""), worths.rows.length ? worthTable(worths) : null,
      element("div", { class: "wb-faint" }, foreign([...notes, worths.caution].join(" ")))];
  }

  let asking = false, again = false;
  async function refresh() {
    again = true;
    if (asking) return;
    asking = true;
    try {
      while (again && alive) {
        again = false;
        const { value } = await kernel.ask("view");
        if (alive) showView(value);
      }
    } catch (error) {
      fail(error);
    } finally {
      asking = false;
    }
  }

  const onChosen = (action) => () => chosen && card(chosen) && action(chosen);
  ownKeyboard(root, {
    g: press.judge, c: press.cancel, a: press.automatic, l: press.leave, b: press.rebase, v: press.against, f: press.kind,
    j: () => press.step(1), ArrowDown: () => press.step(1), k: () => press.step(-1), ArrowUp: () => press.step(-1),
    r: onChosen((id) => host.fold(id)), o: onChosen((id) => host.open(id)),
  }, sheet);
  kernel.listen("changed", refresh);
  kernel.listen("late", refresh);
  model.on("change:automatic", showButtons);
  el.append(root);
  refresh();
  return () => {
    alive = false;
    model.off("change:automatic", showButtons);
    kernel.close();
  };
}

export default { render: renderRejudge };
