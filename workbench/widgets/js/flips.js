// What re-judging found, as elements: accuracies with their intervals, a card for each flip, the worth of criteria.
const KIND_SIGNS = { fixed: "✓", broken: "✗", "swap-only": "⇄", changed: "≠" };

// A number as a dot on its interval; `zero` is marked: chance, or no difference.
function intervalBar({ value, low, high, text }, { from, to, zero }) {
  const at = (x) => `${(100 * (Math.min(to, Math.max(from, x)) - from)) / (to - from)}%`;
  const width = `${(100 * (Math.min(to, high) - Math.max(from, low))) / (to - from)}%`;
  return element("span", { class: "wb-interval", role: "img", "aria-label": text },
    element("span", { class: "wb-zero", style: { left: at(zero) } }),
    element("span", { class: "wb-range", style: { left: at(low), width } }),
    element("span", { class: "wb-dot", style: { left: at(value) } }));
}

function accuracyCell(estimate, unlabelled) {
  if (!estimate) return element("td", { class: "wb-faint" }, unlabelled ? "no labelled pair: no accuracy" : "no pair in both orders yet");
  return element("td", {}, intervalBar(estimate, { from: 0, to: 1, zero: 0.5 }), element("span", { class: "wb-number", "aria-hidden": "true" }, estimate.text));
}

function accuracyTable(rows, judged) {
  const failed = (count, name) => (count ? element("b", { class: "wb-warn" }, ` · ${count} ${name}`) : null);
  const lines = rows.map((row) => {
    const whole = row.verdicts === row.wanted;
    const stale = row.role === "current" && !judged;
    return element("tr", { data: { role: row.role }, class: stale ? "wb-stale" : null },
      element("th", { scope: "row" }, element("b", {}, stale ? "judged last" : row.role), element("br"), foreign(row.name, { class: "wb-faint" })),
      accuracyCell(row.mean, row.unlabelled),
      accuracyCell(row.resolved, row.unlabelled),
      element("td", {}, element("span", { class: whole ? null : "wb-warn" }, `${row.verdicts} of ${row.wanted}${whole ? "" : " (partial)"}`),
        failed(row.invalid, "invalid"), failed(row.error, row.error === 1 ? "error" : "errors"),
        row.unlabelled ? ` · ${row.unlabelled} ${row.unlabelled === 1 ? "pair" : "pairs"} without label` : ""));
  });
  const heads = ["rubric", "accuracy, mean of both orders", "right in both orders", "verdicts"];
  return element("table", { class: "wb-accuracies" },
    element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, lines));
}

// Both orders, each before and after.
function verdictChange(flip) {
  const word = (verdict) => (verdict ? outcomeWord({ outcome: verdict[1], correct: verdict[2] }) : "–");
  const orders = ["forward", "reverse"].map((order) => {
    const [before, after] = [flip.before, flip.after].map((side) => side.find(([each]) => each === order));
    const changed = before && after && before[1] !== after[1];
    return element("span", { class: changed ? "wb-change" : "wb-change wb-faint" }, `${order} `,
word(before), " → ", word(after));
  });
  return element("div", { class: "wb-changes" }, orders);
}

function flipCard(flip, host) {
  const captions = Array.from({ length: flip.images }, (_, index) => letter(index));
  const thumb = (caption, index) => {
    const image = element("img", { alt: `${caption} of pair ${flip.name}` });
    host.thumbnail(flip.id, index).then((url) => (image.src = url), (error) => image.replaceWith(foreign(error.message, { class: "wb-gone" })));
    const mine = caption === flip.label;
    return element("figure", { class: mine ? "wb-preferred" : null }, image, element("figcaption", {}, captioned(caption, mine)));
  };
  const pictures = [...(flip.source ? [thumb("source", null)] : []), ...captions.map((caption, index) => thumb(caption, index))];
  const reasons = element("div", { class: "wb-reasons", hidden: true });
  const fold = element("button", { type: "button", "aria-expanded": "false", on: { click: () => host.fold(flip.id) } }, "reasons (r)");
  const open = host.opens ? element("button", { type: "button", on: { click: () => host.open(flip.id) } }, "open (o)") : null;
  return element("article", { class: "wb-flip", tabIndex: -1, data: { pair: flip.id, kind: flip.kind }, on: { focusin: () => host.choose(flip.id) } },
    element("div", { class: "wb-pictures" }, pictures),
    element("div", { class: "wb-told" },
      element("div", {}, element("span", { class: `wb-kind wb-kind-${flip.kind}` }, `${KIND_SIGNS[flip.kind]} ${flip.kind}`), " ",
        foreign(flip.name, { class: "wb-faint" }), captions.includes(flip.label) ? null : element("span", { class: "wb-faint" }, ` · ${peopleSay(flip.label)}`)),
      element("div", { class: "wb-prompt" }, foreign(flip.prompt)), verdictChange(flip),
      element("div", { class: "wb-bar" }, fold, open), reasons));
}

function reasonsOf(view) {
  const side = (name) => {
    const judge = view.judges.find((each) => each.name === name);
    const lines = (judge?.verdicts ?? []).map((verdict) => {
      return element("div", { class: "wb-reason" },
        element("div", { class: "wb-faint" }, `${verdict.order}, shown ${shownAs(verdict.shown)}: `, outcomeWord(verdict)),
        foreign(verdict.reason || verdict.detail));
    });
    return element("section", { "aria-label": name }, element("h5", {}, name), lines.length ? lines : "no verdict");
  };
  return [side("before"), side("after")];
}

function worthTable(worths) {
  const reach = Math.max(0.1, ...worths.rows.flatMap(({ difference: d }) => (d ? [Math.abs(d.low), Math.abs(d.high)] : [])));
  const tone = { helps: "wb-good", hurts: "wb-bad" };
  const lines = worths.rows.map(({ id, text, difference: d, said, failed, fixed, broken }) => {
    return element("tr", {},
      element("th", { scope: "row" }, element("b", {}, foreign(id)), element("br"), foreign(text, { class: "wb-faint wb-clip", title: text })),
      element("td", {}, d ? intervalBar(d, { from: -reach, to: reach, zero: 0 }) : null, element("span", { class: "wb-number", "aria-hidden": String(Boolean(d)) }, d?.text ?? "no labelled pair")),
      element("td", {}, element("b", { class: tone[said] ?? "wb-faint" }, said), failed ? element("b", { class: "wb-warn" }, ` · ${failed}`) : null), element("td", {}, `${fixed} / ${broken}`));
  });
  const heads = ["criterion", "worth: accuracy with it minus without", "", "pairs right only with / without it"];
  return element("table", { class: "wb-worths" },
    element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))), element("tbody", {}, lines));
}
