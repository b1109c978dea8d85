// A person's vote on one pair after the other. Which candidate is A is Python's secret: the page knows first and second.
const VOTE_KEYS = [["a ←", "the first is better"], ["b →", "the second is better"], ["t", "a tie: neither is better"]];
const SMALL_PIXELS = 256; // pictures below are enlarged without smoothing

export default {
  render({ model, el }) {
    const kernel = kernelOf(model);
    let shown, busy = false, again = false, alive = true;
    let urls = [];

    const button = (label, choice) => element("button", { type: "button", data: { choice }, on: { click: () => vote(choice) } }, label);
    const parts = {
      count: element("span", { class: "wb-faint", role: "status" }),
      asked: element("div", { class: "wb-asked" }),
      problem: element("div", { class: "wb-bad", role: "alert", hidden: true }),
      pictures: element("div", { class: "wb-choices" }),
      buttons: element("div", { class: "wb-bar", hidden: true }, button("A is better (a)", "first"), button("tie (t)", "tie"), button("B is better (b)", "second")),
    };
    const root = element("section", { class: "wb wb-widget wb-vote", "aria-label": "voting" });
    const sheet = keySheet(root, VOTE_KEYS);
    root.append(
      element("div", { class: "wb-bar" }, element("b", {}, "Which is better?"), parts.count, element("span", { class: "wb-right" }, sheet.button)),
      sheet.node, parts.problem, parts.asked, parts.pictures, parts.buttons);
    const choose = (choice) => () => vote(choice);
    ownKeyboard(root, {
      a: choose("first"), ArrowLeft: choose("first"), b: choose("second"), ArrowRight: choose("second"), t: choose("tie"),
    }, sheet);
    el.append(root);

    function fail(error) {
      parts.problem.replaceChildren(foreign(error.message));
      parts.problem.hidden = false;
    }

    function show({ value, buffers }) {
      parts.problem.hidden = true;
      parts.count.textContent = `${value.waiting} to vote on, ${value.given} votes given`;
      if (value.id === shown) return;
      urls.forEach(release);
      urls = buffers.map((data, i) => URL.createObjectURL(new Blob([data], { type: value.mimes[i] })));
      shown = value.id;
      parts.asked.replaceChildren(shown === null ? element("span", { class: "wb-faint" }, "Nothing to vote on now.") : foreign(value.prompt));
      parts.pictures.replaceChildren(...urls.map((src, i) => {
        const name = value.names[i];
        const enlarge = ({ target }) => target.classList.toggle("wb-small", target.naturalWidth < SMALL_PIXELS);
        return element("figure", {}, element("img", { src, alt: name, on: { load: enlarge } }), element("figcaption", {}, name));
      }));
      parts.buttons.hidden = shown === null;
    }

    async function refresh() {
      if (busy) { again = true; return; }
      busy = true;
      try {
        const answer = await kernel.ask("next", {});
        if (alive) show(answer);
      } catch (error) {
        if (alive) fail(error);
      }
      busy = false;
      if (again && alive) { again = false; refresh(); }
    }

    async function vote(choice) {
      if (!shown || busy) return;
      busy = true;
      try {
        const answer = await kernel.ask("vote", { id: shown, choice });
        if (alive) show(answer);
      } catch (error) {
        if (alive) fail(error);
        again = true;
      }
      busy = false;
      if (again && alive) { again = false; refresh(); }
    }

    kernel.listen("changed", refresh);
    kernel.listen("late", refresh);
    refresh();
    return () => {
      alive = false;
      urls.forEach(release);
      kernel.close();
    };
  },
};
