// What a reader says about pairs: kept in memory, and in the browser's storage where it lets a file have one, until it
// is exported as JSON that `workbench annotations merge` reads.
const LONGEST_NAME = 200;
const LONGEST_NOTE = 20_000;

function commentsOf(about, contents, changed) {
  const place = `workbench comments, ${about.run}, ${about.dataset}`;
  const said = new Map(); // by pair and author
  let author = "";
  let exported = ""; // the time of the newest comment that was exported

  const nameOf = (comment) => JSON.stringify([comment.pair_id, comment.author]);
  const keep = (comment) => {
    const known = said.get(nameOf(comment));
    if (!known || known.time <= comment.time) said.set(nameOf(comment), comment);
  };
  const isComment = (each) =>
    ["pair_id", "author", "time", "note"].every((name) => typeof each?.[name] === "string") &&
    (each.label === null || /^([a-z]|tie|skip)$/.test(each.label)) && Date.parse(each.time) < Date.parse("9000-01-01");

  // Another tab may have written meanwhile: what it kept stays.
  function read() {
    try {
      const stored = JSON.parse(localStorage.getItem(place) ?? "{}");
      author ||= typeof stored.author === "string" ? stored.author : "";
      if (typeof stored.exported === "string" && stored.exported > exported) exported = stored.exported;
      (Array.isArray(stored.comments) ? stored.comments : []).filter(isComment).forEach(keep);
    } catch {
      // No storage for this file, or something else in it: memory has to do.
    }
  }

  function write() {
    try {
      localStorage.setItem(place, JSON.stringify({ author, exported, comments: [...said.values()] }));
    } catch {
      // As above; leaving the page warns of what was not exported.
    }
  }

  const unexported = () => [...said.values()].filter((each) => each.time > exported).length;

  function keepNow() {
    read();
    write();
    changed({ elsewhere: false });
  }

  read();
  addEventListener("storage", (event) => event.key === place && (read(), changed({ elsewhere: true })));
  addEventListener("beforeunload", (event) => unexported() && event.preventDefault());

  return {
    all: () => [...said.values()],
    of: (id) => [...said.values()].filter((each) => each.pair_id === id),
    mine: (id) => said.get(JSON.stringify([id, author])) ?? null,
    unexported,
    get author() {
      return author;
    },
    set author(name) {
      author = name;
      keepNow();
    },
    // Label or note, whichever is not given, stays as the author said it last: here, or in the page as `stored`.
    add({ pair_id, ...change }, stored) {
      read();
      const before = said.get(JSON.stringify([pair_id, author])) ?? stored;
      const { label, note } = { label: before?.label ?? null, note: before?.note ?? "", ...change };
      // Of two comments within one millisecond the later one must count, and clocks differ.
      const times = [...said.values(), ...(stored ? [stored] : [])].map((each) => Date.parse(each.time) + 1);
      const time = new Date(times.reduce((latest, each) => Math.max(latest, each), Date.now())).toISOString();
      const comment = {
        schema: "workbench.annotation/1", pair_id, author, time, label, note: note.slice(0, LONGEST_NOTE),
        rubric: about.rubric, dataset: about.dataset, content: contents.get(pair_id) ?? null,
      };
      keep(comment);
      keepNow();
      return comment;
    },
    toJson() {
      const annotations = [...said.values()].sort((one, other) => (one.time < other.time ? -1 : 1));
      return JSON.stringify({ schema: "workbench.annotations/1", run: about.run, dataset: about.dataset, annotations }, null, 1);
    },
    markExported() {
      exported = [...said.values()].reduce((time, each) => (each.time > time ? each.time : time), exported);
      keepNow();
    },
  };
}

// Asks who the reader is; resolves with the name, or rejects where none is given.
function askAuthor(name = "") {
  const input = element("input", { type: "text", maxLength: LONGEST_NAME, autocomplete: "name", "aria-label": "your name" });
  input.value = name;
  const dialog = element("dialog", { class: "wb author", "aria-label": "who is writing?" });
  return new Promise((resolve, reject) => {
    const done = () => {
      const given = input.value.trim();
      if (!given) return input.focus();
      dialog.close();
      return resolve(given);
    };
    dialog.append(
      element("p", {}, "Your name, kept with what you write:"), input,
      element("p", {},
        element("button", { type: "button", on: { click: done } }, "keep"), " ",
        element("button", { type: "button", on: { click: () => dialog.close() } }, "cancel")));
    input.addEventListener("keydown", (event) => event.key === "Enter" && done());
    dialog.addEventListener("close", () => {
      dialog.remove();
      reject(new Error("no name was given"));
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}

// How many comments there are, by whom, and the button that exports them.
function commentBar(root, comments, about, rename) {
  const told = element("span", { role: "status" });
  const button = element("button", { type: "button", on: { click: save } }, "export as JSON");
  const who = element("button", { type: "button", on: { click: rename } }, "");
  root.append(told, " ", button, " ", who);

  function save() {
    const url = URL.createObjectURL(new Blob([comments.toJson()], { type: "application/json" }));
    const name = `annotations-${about.run}-${comments.author}`.replace(/[^\p{L}\p{N}._-]+/gu, "-");
    const link = element("a", { href: url, download: `${name}.json` });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    comments.markExported();
  }

  return () => {
    const [count, left] = [comments.all().length, comments.unexported()];
    const plural = `${count} comment${count === 1 ? "" : "s"}`;
    told.textContent = count ? `${plural}, ${left ? `${left} not exported yet` : "all exported"}` : "no comments yet";
    told.classList.toggle("wb-warn", left > 0);
    button.disabled = !count;
    who.replaceChildren(comments.author ? "by " : "who are you?", comments.author ? foreign(comments.author) : "");
  };
}
