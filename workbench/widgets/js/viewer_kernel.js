// The viewer in a notebook: every question of its host goes to the kernel.
export default {
  render({ model, el }) {
    const kernel = kernelOf(model);
    const root = element("div");
    let viewer = null;
    let gone = false;
    el.append(root);
    const value = async (question, content) => (await kernel.ask(question, content)).value;
    const news = {};
    kernel.listen("row", (content) => news.row?.(content.row));
    kernel.listen("open", (content) => news.open?.(content.id));
    kernel.listen("changed", (content) => news.changed?.(content.id));
    kernel.listen("late", () => (viewer ? news.late?.() : begin()));
    const host = {
      index: () => value("index"),
      pair: (id) => value("pair", { id }),
      exchange: (key) => value("exchange", { key }),
      annotate: (annotation) => value("annotate", annotation),
      search: (text) => value("search", { text }),
      listen: (listeners) => Object.assign(news, listeners),
      async image(key, size) {
        const { value: mime, buffers } = await kernel.ask("image", { key, size });
        return URL.createObjectURL(new Blob([buffers[0]], { type: mime }));
      },
    };
    async function begin() {
      try {
        const about = await value("about");
        if (gone || viewer) return;
        root.replaceChildren();
        viewer = mountViewer(root, { ...host, about });
      } catch (error) {
        root.replaceChildren(foreign(error.message));
      }
    }
    begin();
    return () => {
      gone = true;
      viewer?.close();
      kernel.close();
    };
  },
};
