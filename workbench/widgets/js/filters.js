// Which rows a filter keeps: [name, label, test(row, judge)]; `judge` is "" for any.
const marked = (row, judge, ...marks) =>
  Object.entries(row.marks).some(([name, own]) => (!judge || name === judge) && marks.some((mark) => own.includes(mark)));
const opinions = (row) => [row.label, ...row.people, row.mine].filter((label) => label && label !== "skip");
const differs = (row, judge) => {
  const people = opinions(row);
  const votes = Object.entries(row.said).flatMap(([name, own]) => (!judge || name === judge ? own : []));
  return new Set(people).size > 1 || votes.some((vote) => people.length && vote.length < 4 && !people.includes(vote));
};

const FILTERS = [
  ["all", "all pairs", () => true],
  ["wrong", "judge wrong", (row, judge) => marked(row, judge, "wrong")],
  ["flipped", "flipped", (row, judge) => marked(row, judge, "flipped")],
  ["fixed", "flipped: fixed", (row, judge) => marked(row, judge, "fixed")],
  ["broken", "flipped: broken", (row, judge) => marked(row, judge, "broken")],
  ["inconsistent", "orders disagree", (row, judge) => marked(row, judge, "inconsistent")],
  ["failed", "invalid or error", (row, judge) => marked(row, judge, "invalid", "error")],
  ["disagree", "people disagree, or the judge with them", differs],
  ["unlabelled", "not labelled by me", (row) => !row.mine],
  ["mine", "labelled by me", (row) => row.mine],
  ["noted", "with a note", (row) => row.noted],
];

const OF_BASELINE = new Set(["flipped", "fixed", "broken"]);
const OF_JUDGES = new Set(["wrong", "inconsistent", "failed"]);

// Tags as choices, `name = value`, the commonest first, as far as a list can be read.
const MOST_TAGS = 200;
function tagChoices(rows) {
  const counts = new Map();
  for (const row of rows) {
    for (const [name, value] of Object.entries(row.tags)) {
      const key = JSON.stringify([name, value]);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return [...counts].sort((one, other) => other[1] - one[1]).slice(0, MOST_TAGS);
}

function hasTag(row, key) {
  const [name, value] = JSON.parse(key);
  return Object.hasOwn(row.tags, name) && row.tags[name] === value;
}

function rowHasText(row, text) {
  const tags = Object.entries(row.tags).flat();
  return [row.id, row.name, row.prompt, ...tags].some((each) => each.toLowerCase().includes(text));
}
