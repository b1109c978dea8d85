// What judges said about one pair, with the request and the raw reply behind every verdict.
const FOLDED = 600; // characters; longer texts are folded

function folded(text, attributes = {}) {
  if (text.length <= FOLDED) return foreign(text, attributes);
  const summary = element("summary", {}, foreign(`${text.slice(0, 160)} …`), ` (${text.length.toLocaleString("en")} characters)`);
  return element("details", { class: "wb-folded" }, summary, foreign(text, attributes));
}

function judgeCard(judge, host) {
  const card = element("section", { class: "wb-judge", "aria-label": "verdicts" }, element("h4", {}, foreign(judge.name)));
  for (const verdict of judge.verdicts) card.append(verdictOf(verdict, host));
  if (!judge.verdicts.length) card.append(element("p", { class: "wb-faint" }, "not judged"));
  return card;
}

function verdictOf(verdict, host) {
  const sample = verdict.sample ? `, sample ${verdict.sample + 1}` : "";
  const facts = [];
  if (verdict.ranks && verdict.ranks.length > 2) facts.push(`ranks ${lettered(verdict.ranks)}`);
  if (verdict.scores) facts.push(`scores ${lettered(verdict.scores)}`);
  if (verdict.confidence !== null) facts.push(`${Math.round(verdict.confidence * 100)}% sure`);
  if (verdict.cached) facts.push("from the cache");
  const said = verdict.reason || verdict.detail;
  return element("div", { class: "wb-verdict" },
    element("div", {},
      outcomeWord(verdict, { long: true }),
      element("span", { class: "wb-faint" }, ` · ${verdict.order}${sample}: shown ${shownAs(verdict.shown)}${facts.length ? ` · ${facts.join(" · ")}` : ""}`)),
    said ? element("div", { class: "wb-reason" }, folded(said)) : null,
    verdict.reason && verdict.detail ? element("div", { class: "wb-reason" }, folded(verdict.detail)) : null,
    verdict.criteria.length ? criteriaOf(verdict.criteria) : null,
    ...verdict.keys.map((key, i) => exchangeOf(key, verdict.keys.length > 1 ? ` ${i + 1} of ${verdict.keys.length}` : "", host)));
}

const lettered = (values) => values.map((value, i) => `${letter(i)} ${value}`).join(", ");

function criteriaOf(criteria) {
  const cells = (own) => {
    const best = own.ranks.filter((rank) => rank === 1).length;
    return best > 1 ? (best === own.ranks.length ? "equal" : lettered(own.ranks)) : own.ranks.length > 2 ? lettered(own.ranks) : letter(own.ranks.indexOf(1));
  };
  return element("ul", { class: "wb-criteria", "aria-label": "under each criterion" },
    criteria.map((own) => element("li", {}, foreign(own.id), `: ${cells(own)}`)));
}

function exchangeOf(key, which, host) {
  const body = element("div", { class: "wb-exchange" });
  const details = element("details", {}, element("summary", { data: { action: "exchange" } }, `request and raw reply${which}`), body);
  details.addEventListener("toggle", async () => {
    if (!details.open || body.childNodes.length) return;
    body.append("looking it up …");
    try {
      const exchange = await host.exchange(key);
      body.replaceChildren(...(exchange ? exchangeParts(exchange) : ["not stored here"]));
    } catch (error) {
      body.replaceChildren(element("span", { class: "wb-warn" }, foreign(error.message)));
    }
  });
  return details;
}

function exchangeParts({ request, reply, note, facts }) {
  const shown = request.length > 20_000 ? `${request.slice(0, 20_000)} … (cut here; the copy is whole)` : request;
  const wire = element("pre", { tabIndex: 0, "aria-label": "request as curl" }, foreign(shown));
  const raw = element("pre", { tabIndex: 0, "aria-label": "raw reply" }, foreign(reply));
  return [
    element("div", {}, element("b", {}, "request"), " ", copyButton("copy as curl", request, wire)),
    note ? element("p", { class: "wb-warn" }, foreign(note)) : null,
    wire,
    element("div", {}, element("b", {}, "raw reply"), " ", copyButton("copy", reply, raw)),
    facts ? element("p", { class: "wb-faint" }, foreign(facts)) : null,
    raw,
  ].filter(Boolean);
}

function copyButton(label, text, shown) {
  const button = element("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      // Pages that are not secure may not write to the clipboard; what is selected can be copied by hand.
      getSelection().selectAllChildren(shown);
      button.textContent = "selected: press Ctrl+C";
    }
    setTimeout(() => (button.textContent = label), 2500);
  });
  return button;
}

// The pair's name, prompt and tags; tags may give the answer away, so they are hidden with it.
function headOf(view, hidden) {
  const tags = hidden ? [] : Object.entries(view.tags);
  return [
    element("div", { class: "wb-faint" },
      view.note && !hidden ? element("b", { class: "wb-note" }, foreign(view.note)) : null, foreign(view.name), ` · ${view.task === "edit" ? "edit" : "text to image"}`,
      ...tags.flatMap(([name, value]) => [" · ", foreign(`${name} = ${value}`)])),
    element("div", { class: "wb-prompt" }, folded(view.prompt)),
  ];
}

function peopleOf(view) {
  const dataset = `dataset: ${peopleSay(view.label)}${view.label && view.ranks.length > 2 ? ` (ranks ${lettered(view.ranks)})` : ""}`;
  return [
    element("div", {}, dataset),
    ...view.annotations.map((own) => element("div", {},
      foreign(own.author), `: ${own.label ?? "no label"} `, element("span", { class: "wb-faint" }, minuteOf(own.time)),
      own.note ? [" ", folded(own.note)] : null)),
  ];
}
