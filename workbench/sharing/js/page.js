// The pair viewer of the page, whose host is the JSON and the pictures in the page itself.
const jsonOf = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");

// The text of an element that may not have been read yet: pictures stand at the end of the page.
function textOf(id) {
  const look = (resolve, reject) => {
    const node = document.getElementById(id);
    if (node && (node.nextSibling || document.readyState !== "loading")) resolve(node.textContent);
    else if (document.readyState === "loading") setTimeout(() => look(resolve, reject), 30);
    else reject(new Error("the page was cut off before this picture"));
  };
  return new Promise(look);
}

function startViewer(root, stored) {
  const views = new Map(Object.entries(stored.views));
  const contents = new Map(Object.entries(stored.contents));
  const problems = new Map(Object.entries(stored.problems));
  const comments = commentsOf(stored.about, contents, ({ elsewhere }) => (showBar(), elsewhere && heard()));
  const about = { ...stored.about, author: comments.author, writable: true, problem: "", start: pairInLink() };
  const rename = () => askAuthor(comments.author).then((name) => ((comments.author = about.author = name), heard())).catch(() => null);
  const showBar = commentBar(document.getElementById("comments"), comments, about, rename);
  const others = (view) => view.annotations.filter((each) => !comments.of(view.id).some((own) => own.author === each.author));
  const inPage = (id) => views.get(id).annotations.find((each) => each.author === comments.author);
  const searched = new Map();
  const news = {};
  let opened = 0;
  let current = null;

  const rowOf = (row) => {
    const noted = row.noted || comments.of(row.id).some((each) => each.note);
    return { ...row, mine: (comments.mine(row.id) ?? inPage(row.id))?.label ?? null, noted };
  };
  // The reader has another name now, or wrote in another tab.
  async function heard() {
    await news.changed?.(current);
    const row = stored.rows.find((each) => each.id === current);
    if (row) news.row?.(rowOf(row));
  }

  const host = {
    about,
    index: async () => stored.rows.map(rowOf),
    listen: (listeners) => Object.assign(news, listeners),
    pair: async (id) => {
      const view = views.get(id);
      return { ...view, annotations: [...others(view), ...comments.of(id)] };
    },
    async image(key) {
      if (problems.has(key)) throw new Error(problems.get(key));
      return `data:image/webp;base64,${await textOf(key)}`;
    },
    exchange: async () => null,
    async annotate(annotation) {
      if (!comments.author) {
        about.author = comments.author = await askAuthor();
        setTimeout(heard); // what that author said already is theirs now
      }
      return comments.add(annotation, inPage(annotation.pair_id));
    },
    async search(text) {
      const wanted = text.toLowerCase();
      return stored.rows.map((row) => row.id).filter((id) => {
        if (!searched.has(id)) searched.set(id, wordsOf(views.get(id)).toLowerCase());
        return searched.get(id).includes(wanted);
      });
    },
    opened(id) {
      current = id;
      const link = `#pair=${encodeURIComponent(id)}`;
      document.getElementById("link").replaceChildren("link to this pair: ", element("a", { href: link }, foreign(link)));
      opened += 1;
      if (opened > 1 && pairInLink() !== id) replaceHash(link);
    },
  };
  const viewer = mountViewer(root, host);
  showBar();
  if (about.start !== null) viewer.ready.then(() => seek(root));
  addEventListener("hashchange", () => {
    const id = pairInLink();
    if (id === null) return;
    viewer.open(id);
    seek(root);
  });
  // A link to the pair in the address already changes nothing there, yet is followed.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#pair="]');
    if (link && link.getAttribute("href") === location.hash) {
      viewer.open(pairInLink());
      seek(root);
    }
  });
}

function pairInLink() {
  if (!location.hash.startsWith("#pair=")) return null;
  try {
    return decodeURIComponent(location.hash.slice("#pair=".length));
  } catch {
    return location.hash.slice("#pair=".length);
  }
}

function replaceHash(link) {
  try {
    history.replaceState(null, "", link);
  } catch {
    // Some browsers let no file change its address; the link below the viewer is there all the same.
  }
}

function seek(root) {
  root.closest("section").scrollIntoView();
  root.focus({ preventScroll: true });
}

function wordsOf(view) {
  const verdicts = view.judges.flatMap((judge) => judge.verdicts.flatMap((verdict) => [verdict.reason, verdict.detail]));
  const notes = view.annotations.map((each) => each.note);
  return [view.id, view.name, view.prompt, view.note, ...Object.entries(view.tags).flat(), ...verdicts, ...notes].join("\n");
}

const viewerRoot = document.getElementById("viewer");
if (viewerRoot) startViewer(viewerRoot, jsonOf("page-pairs"));
