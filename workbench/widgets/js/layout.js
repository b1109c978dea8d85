// The viewer's elements and keys: what is pressed or chosen goes to `act(name, value)`, what is known is shown.
const VIEWER_KEYS = [
  ["a b c …", "prefer that candidate"], ["t", "tie"], ["s", "skip"], ["u", "take my label back"], ["n", "write a note (Ctrl+Enter saves it)"],
  ["→ j", "next pair"], ["← k", "previous pair"], ["Home End", "first, last pair"], ["G", "go to a number or id"],
  ["F", "filter"], ["J", "judge"], ["T", "tag"], ["/", "search"],
  ["+ − wheel", "zoom all images (the wheel: while the viewer has the focus, or with Ctrl)"], ["0", "whole images"], ["1", "one image pixel a screen pixel"],
  ["Shift+arrows drag", "move all images"], ["w", "swap left and right"], ["x", "pixel difference, next two images, off"],
  ["r", "request and raw reply of the first verdict"], ["v", "blind: hide label and verdicts until I have labelled"],
  ["m", "move on after labelling"],
];

function viewerLayout(root, about, act) {
  const button = (label, name, key, value) =>
    element("button", { type: "button", title: `${label} (${key})`, on: { click: () => act(name, value) }, data: { action: name } }, label);
  const toggle = (label, name, key) => {
    const node = button(label, name, key);
    node.setAttribute("aria-pressed", "false");
    return node;
  };
  // Who chooses with the mouse wants the keys back; who types the name of a choice is still typing.
  const select = (label, name) => {
    let pointed = false;
    const keydown = ({ key }) => ((pointed = false), key === "Enter" && root.focus());
    const change = () => (act(name), pointed && root.focus());
    return element("select", { "aria-label": label, title: label, on: { pointerdown: () => (pointed = true), keydown, change } });
  };
  const controls = {
    filter: select("filter (F)", "filter"),
    judge: select("judge (J)", "filter"),
    tag: select("tag (T)", "filter"),
    search: element("input", { type: "search", placeholder: "search (/)", "aria-label": "search prompts, ids, tags and reasons" }),
    jump: element("input", { type: "text", class: "wb-jump", placeholder: "go to (G)", "aria-label": "go to a pair by number or id" }),
    note: element("textarea", { rows: "1", placeholder: "note (n)", "aria-label": "note on this pair", disabled: !about.writable }),
  };
  const toggles = {
    swap: toggle("swap", "swap", "w"), difference: toggle("difference", "difference", "x"),
    blind: toggle("blind", "blind", "v"), advance: toggle("move on", "advance", "m"),
  };
  const parts = {
    count: element("span", { class: "wb-count", role: "status", "aria-label": "position" }),
    problem: element("div", { class: "wb-warn", role: "alert" }),
    strip: element("div"), head: element("div", { class: "wb-head" }), panes: element("div"), scale: element("span", { class: "wb-faint wb-scale" }),
    labels: element("span", { class: "wb-labels", role: "group", "aria-label": "my label" }),
    said: element("span", { class: "wb-said", role: "status" }), people: element("div", { class: "wb-people" }), judges: element("div", { class: "wb-judges" }),
  };
  const sheet = keySheet(root, VIEWER_KEYS);

  controls.judge.append(element("option", { value: "" }, "every judge"), ...about.judges.map((name) => element("option", { value: name }, name)));
  controls.filter.append(element("option", { value: "all" }, "all pairs"));
  controls.tag.append(element("option", { value: "" }, "any tag"));
  controls.judge.hidden = about.judges.length < 2;
  let typing = null;
  controls.search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => act("filter"), 250);
  });
  controls.search.addEventListener("keydown", (event) => event.key === "Enter" && root.focus());
  controls.jump.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    act("jump", controls.jump.value);
    controls.jump.value = "";
    root.focus();
  });
  controls.note.addEventListener("change", () => act("note", controls.note.value));
  controls.note.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && root.focus());

  root.classList.add("wb", "wb-widget", "wb-viewer");
  root.setAttribute("aria-label", "pair viewer; press ? for its keys");
  root.setAttribute("role", "group");
  root.append(
    element("div", { class: "wb-bar" },
      button("‹", "previous", "←"), parts.count, button("›", "next", "→"), controls.filter, controls.judge, controls.tag, controls.search, controls.jump,
      about.synthetic ? syntheticPill() : null,
      element("span", { class: "wb-right" }, sheet.button)),
    sheet.node, parts.problem, parts.strip, parts.head,
    element("div", { class: "wb-bar" },
      button("+", "zoomIn", "+"), button("−", "zoomOut", "-"), button("fit", "fit", "0"), button("1:1", "oneToOne", "1"), parts.scale, toggles.swap, toggles.difference),
    parts.panes,
    element("div", { class: "wb-bar wb-mine" }, parts.labels, controls.note, toggles.advance, toggles.blind, parts.said),
    parts.people, parts.judges,
  );
  if (!about.writable) parts.labels.append(element("span", { class: "wb-faint" }, foreign(about.problem || "labels are not kept here")));

  ownKeyboard(root, viewerKeys(act, controls, parts.judges), sheet);

  return {
    controls,
    parts,
    close: () => clearTimeout(typing),
    fillTags(tags) {
      const chosen = controls.tag.value;
      controls.tag.replaceChildren(element("option", { value: "" }, "any tag"),
        ...tags.map(([key, count]) => element("option", { value: key }, `${JSON.parse(key).join(" = ")} (${count})`)));
      controls.tag.value = tags.some(([key]) => key === chosen) ? chosen : "";
      controls.tag.hidden = !tags.length;
    },
    fillFilters(filters) {
      const chosen = controls.filter.value;
      controls.filter.replaceChildren(...filters.map(([name, label, count]) => element("option", { value: name }, `${label} (${count.toLocaleString("en")})`)));
      controls.filter.value = filters.some(([name]) => name === chosen) ? chosen : "all";
    },
    counted(position, count, of) {
      const number = (value) => value.toLocaleString("en");
      parts.count.textContent = `${number(position + 1)} of ${number(count)}${of > count ? `, ${number(of)} in all` : ""}`;
    },
    press: (name, on) => toggles[name].setAttribute("aria-pressed", String(on)),
    zoomed: (scale) => (parts.scale.textContent = scale === null ? "" : `${(scale * 100).toFixed(scale < 0.1 ? 1 : 0)}%`),
    problem: (text) => parts.problem.replaceChildren(text ? foreign(text) : ""),
    said(text, bad = false, name = "") {
      parts.said.classList.toggle("wb-bad", bad);
      parts.said.replaceChildren(text, name ? foreign(name) : "");
    },
    showLabels(count, mine) {
      if (!about.writable) return;
      if (parts.labels.contains(document.activeElement)) root.focus({ preventScroll: true }); // its button goes
      const choices = [...Array.from({ length: count }, (_, index) => [letter(index), letter(index)]), ["tie", "t"], ["skip", "s"]];
      parts.labels.replaceChildren(...choices.map(([value, key]) => {
        const node = button(value, "label", key, value);
        node.setAttribute("aria-pressed", String(mine === value));
        return node;
      }), button("clear", "clear", "u"));
    },
  };
}

function viewerKeys(act, controls, judges) {
  const once = (name, value) => (event) => event.repeat || act(name, value); // a key held down labels one pair, not fifty
  const focus = (control) => () => (control.focus(), control.select?.());
  const keys = {
    ArrowRight: () => act("next"), j: () => act("next"), ArrowLeft: () => act("previous"), k: () => act("previous"),
    Home: () => act("first"), End: () => act("last"),
    "+": () => act("zoomIn"), "=": () => act("zoomIn"), "-": () => act("zoomOut"), 0: () => act("fit"), 1: () => act("oneToOne"),
    "Shift+ArrowLeft": () => act("pan", [60, 0]), "Shift+ArrowRight": () => act("pan", [-60, 0]),
    "Shift+ArrowUp": () => act("pan", [0, 60]), "Shift+ArrowDown": () => act("pan", [0, -60]),
    w: () => act("swap"), x: () => act("difference"), v: () => act("blind"), m: () => act("advance"),
    r: () => judges.querySelector("summary[data-action=exchange]")?.click(),
    t: once("label", "tie"), s: once("label", "skip"), u: once("clear"), n: focus(controls.note),
    "/": focus(controls.search), F: focus(controls.filter), J: focus(controls.judge), T: focus(controls.tag), G: focus(controls.jump),
  };
  for (let index = 0; index < 26; index += 1) keys[letter(index)] ??= once("label", letter(index));
  return keys;
}
