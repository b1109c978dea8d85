// The pair viewer, in a notebook and in a shared HTML file alike: `const viewer = mountViewer(root, host)`, where
// `viewer.open(id)` shows a pair, and `viewer.close()` frees images and listeners. It uses dom.js, keys.js, difference.js,
// panes.js, strip.js, verdicts.js, filters.js and layout.js, which stand before it in one module. What it shows comes
// from the host:
//
//   about        { judges: [name], author, writable, problem, baseline, synthetic, start, previews }; `problem` says why it is not
//                writable, `start` an id to begin with or null; that pair is shown before the index is asked for
//   index()      -> [row]   (`index_row` of pair_views.py)
//   pair(id)     -> view    (`pair_view`)
//   image(key, "thumb" | "full") -> URL; the viewer revokes blob: URLs when it no longer shows them
//   exchange(key) -> { request, reply, note?, facts? } or null: a cache key's request as curl, and the raw reply
//   annotate({ pair_id, label?, note? }) -> annotation ({ author, time, label, note }); what is not given stays as the
//                author said it last, in whichever tab; rejects where it was not saved
//
// and, where the host has them:
//
//   search(text) -> [id]    pairs in whose whole texts `text` is found; else names, prompts and tags of rows are searched
//   opened(id)              called whenever another pair is shown
//   listen({ row, open, changed, late })   news: a row that is another now, an id to open, an index to ask for again,
//                and that the host, which had not answered for long, answers again
function mountViewer(root, host) {
  const { about } = host;
  let rows = [];
  let list = []; // rows that the filters keep; it stays as it is while pairs are labelled
  let at = -1;
  let view = null;
  let turn = 0; // counts pairs opened, so that what arrives late for an earlier one is dropped
  let filtered = 0;
  let saving = 0;
  let reloading = null;
  let queue = Promise.resolve();
  const unsaved = new Map(); // by pair id: { name, change } that the host did not keep
  let pictured = null; // resolves once the candidates are on the screen
  let seen = false; // whether they are
  let swapped = false;
  let difference = -1;
  let blind = false;
  let advance = false;

  const layout = viewerLayout(root, about, act);
  const { controls, parts } = layout;
  const panes = imagePanes(root, (scale) => layout.zoomed(scale), about.previews);
  const strip = thumbnailStrip(host, (position) => show(position), describe);
  parts.panes.append(panes.node);
  parts.strip.append(strip.node);

  const choices = FILTERS.filter(([name]) => (about.baseline || !OF_BASELINE.has(name)) && (about.judges.length || !OF_JUDGES.has(name)));
  const row = () => list[at];
  const hidden = () => blind && !row()?.mine;

  function describe(each) {
    if (blind && !each.mine) return { text: "", title: each.name };
    const judge = controls.judge.value;
    const signs = [each.mine ? `you: ${each.mine}` : "", ...["wrong", "flipped", "inconsistent", "invalid", "error"].filter((mark) => marked(each, judge, mark))];
    const text = `${each.mine ? ` ${each.mine}` : ""}${marked(each, judge, "wrong") ? " ✗" : ""}${marked(each, judge, "invalid", "error") ? " !" : ""}`;
    return { text, title: [each.name, ...signs.filter(Boolean)].join(", ") };
  }

  // ----- which pairs -----

  async function load(id) {
    rows = await host.index();
    layout.fillTags(tagChoices(rows));
    await filter(id);
  }

  // What was not answered is asked for again, once however many answers came late; a note being written is left alone.
  const reload = () => (reloading ??= loadAgain().catch((error) => layout.problem(error.message)).finally(() => (reloading = null)));
  async function loadAgain() {
    const before = view;
    await load();
    if (list.length && view === before && controls.note !== document.activeElement) await show(at, { again: true });
  }

  // The index of a large dataset takes longer than a pair, so that comes first.
  async function begin() {
    if (about.start) {
      list = [{ id: about.start, name: "", prompt: "", tags: {}, images: [], marks: {}, said: {}, people: [] }];
      await show(0);
      await pictured;
    }
    await load(about.start);
    if (about.start && view?.id !== about.start) layout.problem("The pair asked for is not among those shown.");
  }

  // Keeps to the pair with this id, or to the one in view by the time that what was asked for has come.
  async function filter(id) {
    const [judge, tag] = [controls.judge.value, controls.tag.value];
    const [, , test] = FILTERS.find(([name]) => name === controls.filter.value);
    const text = controls.search.value.trim();
    const mine = (filtered += 1);
    const found = text && host.search ? new Set(await host.search(text)) : null;
    if (mine !== filtered) return; // a later filter overtook the search
    const wanted = id ?? row()?.id;
    const lower = text.toLowerCase();
    const has = (each) => !text || (found ? found.has(each.id) : rowHasText(each, lower));
    list = rows.filter((each) => test(each, judge) && (!tag || hasTag(each, tag)) && has(each));
    layout.fillFilters(choices.map(([name, label, own]) => [name, label, rows.reduce((n, each) => n + (own(each, judge) ? 1 : 0), 0)]));
    strip.show(list);
    const position = list.findIndex((each) => each.id === wanted);
    if (!list.length) return nothing();
    if (position < 0 || view?.id !== wanted) return show(Math.max(0, position), { again: true });
    at = position;
    layout.counted(at, list.length, rows.length);
    strip.select(at);
    return reveal();
  }

  async function show(position, { again = false } = {}) {
    if (!list.length) return nothing();
    const next = Math.min(list.length - 1, Math.max(0, position));
    if (next === at && !again && view) return;
    finishNote();
    at = next;
    const mine = (turn += 1);
    busy(true);
    layout.counted(at, list.length, rows.length);
    strip.select(at);
    try {
      const answer = await host.pair(row().id);
      if (mine !== turn) return;
      view = answer;
    } catch (error) {
      if (mine === turn) [busy(false), layout.problem(error.message)];
      return;
    }
    draw();
    host.opened?.(view.id);
  }

  function busy(loading) {
    seen = !loading;
    root.setAttribute("aria-busy", String(loading));
  }

  function nothing() {
    finishNote();
    busy(false);
    [at, view, turn] = [-1, null, turn + 1];
    panes.clear();
    layout.counted(-1, 0, rows.length);
    parts.head.replaceChildren(rows.length ? "No pair passes the filters." : "There are no pairs.");
    parts.people.replaceChildren();
    parts.judges.replaceChildren();
  }

  async function open(id) {
    if (!rows.some((each) => each.id === id)) return layout.problem("This pair is not among those shown.");
    if (!list.some((each) => each.id === id)) {
      Object.assign(controls.filter, { value: "all" });
      Object.assign(controls.tag, { value: "" });
      Object.assign(controls.search, { value: "" });
      return filter(id);
    }
    return show(list.findIndex((each) => each.id === id));
  }

  function jump(text) {
    const number = Number(text);
    const named = rows.find((each) => each.id === text || each.name === text);
    if (named) return open(named.id);
    if (Number.isInteger(number) && number >= 1 && number <= list.length) return show(number - 1);
    return layout.problem(`Neither the id of a pair nor a number from 1 to ${list.length}: ${text.slice(0, 80)}`);
  }

  // ----- one pair -----

  function draw() {
    const mine = turn;
    const stale = () => mine !== turn;
    panes.clear();
    difference = -1;
    layout.press("difference", false);
    if (view.source) panes.add("source", "source image");
    view.images.forEach((_, index) => panes.add(index, `candidate ${letter(index)}`));
    arrange();
    if (view.source) panes.load("source", host.image(view.source, "full"), stale);
    pictured = Promise.all(view.images.map((key, index) => panes.load(index, host.image(key, "full"), stale)));
    pictured.then(() => stale() || busy(false));
    reveal();
    layout.said(notSaved(), unsaved.size > 0);
    layout.problem("");
  }

  // What depends on whether the answer may be seen; also what a label changes.
  function reveal() {
    const secret = hidden();
    const judge = controls.judge.value;
    view.images.forEach((_, index) => panes.name(index, letter(index), !secret && view.ranks?.[index] === 1));
    parts.head.replaceChildren(...headOf(view, secret));
    parts.people.replaceChildren(...(secret ? ["Label and verdicts are hidden until you have labelled (v shows them)."] : peopleOf(view)));
    const judges = view.judges.filter((each) => !judge || each.name === judge);
    parts.judges.replaceChildren(...(secret ? [] : judges.map((each) => judgeCard(each, host))));
    layout.showLabels(view.images.length, row()?.mine);
    if (controls.note !== document.activeElement) controls.note.value = unsaved.get(view.id)?.change.note ?? own(view)?.note ?? "";
    strip.redraw();
  }

  function arrange() {
    const candidates = view.images.map((_, index) => index);
    if (swapped) candidates.reverse();
    panes.arrange([...(view.source ? ["source"] : []), ...candidates, "difference"]);
    layout.press("swap", swapped);
  }

  function nextDifference() {
    if (!view) return;
    const slots = [...(view.source ? ["source"] : []), ...view.images.keys()];
    const couples = slots.flatMap((one, i) => slots.slice(i + 1).map((other) => [one, other]));
    couples.sort((one, other) => (one[0] === "source") - (other[0] === "source"));
    difference = difference + 1 < couples.length ? difference + 1 : -1;
    const name = (slot) => (slot === "source" ? "source" : letter(slot));
    const couple = couples[difference];
    panes.showDifference(couple, couple && `${name(couple[0])} and ${name(couple[1])}`);
    layout.press("difference", Boolean(couple));
  }

  // ----- what I say about it -----

  const own = (shown) => shown.annotations.find((each) => each.author === about.author);

  // One after the other, so that what was said last is written last.
  function annotate(change) {
    if (!view) return;
    if (!about.writable) return layout.said(about.problem || "labels are not kept here", true);
    // No label for a pair by a key pressed before it is there to be seen; a note is about the pair it was written beside.
    if ("label" in change && (view.id !== row()?.id || (change.label && (!seen || (saving && advance))))) return layout.said("not labelled: the pair is still loading", true);
    const target = { view, at };
    saving += 1;
    layout.said("saving …");
    queue = queue.then(() => save(target, change)).finally(() => (saving -= 1));
  }

  // A pair that is opened from elsewhere must not get the note that is being written.
  function finishNote() {
    if (controls.note === document.activeElement) root.focus();
  }

  function notSaved() {
    const names = [...unsaved].filter(([id]) => id !== view?.id).map(([, { name }]) => name);
    return names.length ? `NOT saved: what you said about ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}` : "";
  }

  async function save(target, change) {
    const { id, name } = target.view;
    const whole = { ...unsaved.get(id)?.change, ...change };
    let saved;
    try {
      saved = await host.annotate({ pair_id: id, ...whole });
    } catch (error) {
      unsaved.set(id, { name, change: whole });
      const elsewhere = view?.id === id ? "" : ` (pair ${name})`;
      return layout.said(`NOT saved${elsewhere}: ${error.message}`, true);
    }
    unsaved.delete(id);
    target.view.annotations = [...target.view.annotations.filter((each) => each.author !== about.author), saved];
    const now = rows.find((each) => each.id === id);
    if (now) Object.assign(now, { mine: saved.label, noted: now.noted || Boolean(saved.note) });
    if (view?.id === target.view.id) {
      view = target.view;
      reveal();
    }
    layout.said(`saved ${saved.label ?? (saved.note ? "the note" : "without label")}, by `, false, saved.author);
    if (advance && change.label && at === target.at) await show(at + 1);
  }

  function act(name, value) {
    const actions = {
      next: () => show(at + 1),
      previous: () => show(at - 1),
      first: () => show(0),
      last: () => show(list.length - 1),
      zoomIn: () => panes.zoomBy(1.25),
      zoomOut: () => panes.zoomBy(0.8),
      fit: panes.reset,
      oneToOne: panes.oneToOne,
      pan: () => panes.panBy(...value),
      swap: () => ((swapped = !swapped), view ? arrange() : null),
      difference: nextDifference,
      blind: () => ((blind = !blind), layout.press("blind", blind), view ? reveal() : strip.redraw()),
      advance: () => ((advance = !advance), layout.press("advance", advance)),
      label: () => (value.length > 1 || view?.images[value.charCodeAt(0) - 97]) && annotate({ label: value }),
      clear: () => annotate({ label: null }),
      note: () => annotate({ note: value }),
      filter: () => filter().catch((error) => layout.problem(error.message)),
      jump: () => jump(value.trim()),
    };
    return actions[name]();
  }
  host.listen?.({
    row(news) {
      const old = rows.find((each) => each.id === news.id);
      if (!old) return;
      Object.assign(old, news);
      // A label whose answer came too late was kept after all.
      const change = unsaved.get(news.id)?.change;
      if (change && !("note" in change) && change.label === news.mine) unsaved.delete(news.id);
      strip.redraw();
      if (view?.id === news.id && !saving) host.pair(news.id).then((fresh) => view?.id === fresh.id && ((view = fresh), reveal()));
    },
    async open(id) {
      await ready;
      await open(id);
      root.scrollIntoView({ block: "start" });
      root.focus({ preventScroll: true });
    },
    changed: (id) => load(id).catch((error) => layout.problem(error.message)),
    late: reload,
  });
  const ready = begin().catch((error) => layout.problem(error.message));
  return {
    ready,
    open: async (id) => (await ready, open(id)),
    close() {
      turn += 1;
      layout.close();
      panes.close();
      strip.close();
    },
  };
}
