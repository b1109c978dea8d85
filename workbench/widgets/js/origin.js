// Where a criterion came from: what it was found to be worth, hand edits, seed pairs, and the steps of its induction.
const STEP_WORDS = {
  generated: "written",
  screened: "screened out",
  verified: "verified",
  revised: "revised",
  tightened: "tightened",
  kept: "kept",
  dropped: "dropped",
  failed: "failed",
  structured: "sorted into a theme",
  selected: "chosen",
};

function originView(told) {
  const parts = [measuredLine(told.measured), ...editLines(told.edits), pairStrip(told), stepList(told)].filter(Boolean);
  if (told.source) parts.unshift(element("div", {}, "Source: ", foreign(told.source)));
  if (told.problem) parts.push(element("div", { class: "wb-bad" }, foreign(told.problem)));
  if (!parts.length) parts.push(element("div", { class: "wb-faint" }, "Nothing is recorded: written by hand, or before edits were kept."));
  return parts;
}

function measuredLine(measured) {
  if (!measured) return null;
  const numbers = [
    measured.weight && `weight ${measured.weight}`,
    measured.stability && `chosen in ${measured.stability} of random halves`,
    measured.worth && `worth ${measured.worth}`,
  ].filter(Boolean);
  const tip = "Worth: what leaving it out cost the weighted vote, in points of agreement with people on pairs the choice was not made on";
  return element(
    "div",
    {},
    element("span", { title: tip }, numbers.join(" · ")),
    element("span", { class: "wb-faint" }, " in ", foreign(measured.rubric), measured.synthetic ? " (synthetic)" : ""),
    measured.earlier
      ? element("div", { class: "wb-warn" }, "Measured for the earlier wording: ", foreign(measured.earlier))
      : measured.others_changed && element("div", { class: "wb-faint" }, "Measured beside other criteria than there are now."),
  );
}

function editLines(edits) {
  return edits.map((edit) =>
    element("div", {}, foreign(edit.what), element("span", { class: "wb-faint" }, " by ", foreign(edit.author), ` ${minuteOf(edit.time)}`)),
  );
}

function pairStrip({ pairs, more_pairs: more }) {
  if (!pairs.length) return null;
  const cards = pairs.map((pair) =>
    element(
      "figure",
      { class: "wb-seed" },
      element("div", { class: "wb-seed-images" }, (pair.images ?? []).map(thumbnail)),
      element(
        "figcaption",
        {},
        pair.prompt && element("div", { class: "wb-seed-prompt", title: pair.prompt }, foreign(pair.prompt)),
        element("div", { class: "wb-faint" }, foreign(pair.id), ` · ${pair.label ?? pair.problem}`),
      ),
    ),
  );
  const rest = more.length && element("div", { class: "wb-faint", title: more.join(", ") }, `and ${more.length} more seed pairs`);
  return element("div", { class: "wb-seeds" }, cards, rest || null);
}

function thumbnail(image) {
  const caption = captioned(image.name, image.chosen);
  if (image.problem) return element("span", { class: "wb-seed-lost wb-bad", title: image.problem }, "no image");
  return element(
    "span",
    { class: image.chosen ? "wb-thumb wb-chosen" : "wb-thumb" },
    element("img", { src: image.url, alt: caption }),
    element("span", { class: "wb-faint" }, caption),
  );
}

function stepList({ events, events_known: known }) {
  if (!known) return null;
  if (!events.length) return element("div", { class: "wb-faint" }, "The event log names it in no step.");
  return element("ol", { class: "wb-steps" }, events.map(stepRow));
}

function stepRow(event) {
  const mark = event.passed === true ? " ✓" : event.passed === false ? " ✗" : "";
  const among = event.itself && event.others ? ` among ${event.others + 1}` : "";
  const what = event.itself ? "" : event.step === "verified" ? ", its pair" : ", for its pair";
  return element(
    "li",
    {},
    element("b", { class: event.passed === false ? "wb-bad" : "" }, `${STEP_WORDS[event.step]}${among}${what}${mark}`),
    element("span", { class: "wb-faint" }, ` round ${event.epoch}`, event.pair && " · ", event.pair && foreign(event.pair)),
    event.detail && element("span", {}, " · ", foreign(event.detail)),
    event.reason && element("div", { class: "wb-faint wb-step-reason" }, foreign(event.reason)),
  );
}
