// Words and signs that several widgets share.
const letter = (index) => String.fromCharCode(97 + index);
const minuteOf = (time) => time.slice(0, 16).replace("T", " ");
const shownAs = (candidates) => candidates.map((candidate, i) => `${letter(candidate)} as Image ${i + 1}`).join(", ");

// What people chose: over a picture, and in a sentence.
const captioned = (name, preferred) => (preferred ? `${name} · people prefer` : name);
const peopleSay = (label) => (label === "tie" ? "people see a tie" : label ? `people prefer ${label}` : "no label");

// A verdict's outcome; whether it is right is told by a sign too, never by its colour alone.
function outcomeWord({ outcome, correct }, { long = false } = {}) {
  const failed = outcome === "invalid" || outcome === "error";
  if (failed) return element("b", { class: "wb-warn" }, outcome);
  const [tone, sign, word] = { true: ["wb-good", " ✓", " right"], false: ["wb-bad", " ✗", " wrong"] }[correct] ?? [null, "", ""];
  return element("b", { class: tone }, `${long && outcome !== "tie" ? "prefers " : ""}${outcome}${sign}${long ? word : ""}`);
}

const syntheticPill = () => element("span", { class: "wb-synthetic", title: "from the embedded world: not how a real model behaves" }, "synthetic");
