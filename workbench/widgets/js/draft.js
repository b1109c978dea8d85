// A text somebody is typing. Nothing but its own buttons and keys closes it: what others do meanwhile is told beside it.
//
//   openDraft({ label, text, revision, apply: async (text, revision) => {}, done: () => {} })
//
// `text` and `revision` are what was shown when typing began; the kernel refuses to apply it to anything else.
function openDraft({ label, text, revision, apply, done, lines = false, hint = "" }) {
  const long = lines || text.includes("\n") || text.length > 300;
  const keys = long ? "Ctrl+Enter applies" : "Enter applies, Shift+Enter starts a line";
  let base = text;
  let busy = false;
  const intended = apply;
  const box = element("textarea", { "aria-label": label, rows: lines ? 3 : 1, spellcheck: true });
  box.value = text;
  const problem = element("div", { class: "wb-draft-problem wb-bad", role: "alert" });
  const elsewhere = element("div", { class: "wb-draft-elsewhere" });
  const applyButton = element("button", { type: "button", on: { click: submit } }, "Apply");
  const node = element(
    "div",
    { class: "wb-draft" },
    box,
    elsewhere,
    problem,
    element(
      "div",
      { class: "wb-draft-foot" },
      applyButton,
      element("button", { type: "button", on: { click: close } }, "Discard"),
      element("span", { class: "wb-faint" }, [keys, hint].filter(Boolean).join(" · ")),
    ),
  );

  const grow = () => {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight + 2, 420)}px`;
  };
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return event.stopPropagation(); // Enter belongs to the input method
    const enter = event.key === "Enter" && (event.ctrlKey || event.metaKey || (!long && !event.shiftKey));
    if (enter || (event.key === "Escape" && box.value === base)) {
      event.preventDefault();
      event.stopPropagation();
      if (enter) submit();
      else close();
    }
  });

  async function submit() {
    if (busy) return;
    busy = applyButton.disabled = true;
    problem.textContent = "";
    try {
      await apply(box.value, revision);
      close();
    } catch (error) {
      problem.textContent = error.message;
      grow();
    }
    busy = applyButton.disabled = false;
  }

  function close() {
    const focused = node.contains(document.activeElement);
    node.remove();
    done(focused);
  }

  return {
    node,
    focus() {
      grow();
      box.focus();
      box.setSelectionRange(box.value.length, box.value.length);
    },
    get changed() {
      return box.value !== base;
    },
    // What is stored now, and when that was seen.
    update(stored, now) {
      if (stored === base) {
        revision = now;
        elsewhere.replaceChildren();
        return;
      }
      const keep = () => {
        base = stored;
        revision = now;
        problem.textContent = "";
        elsewhere.replaceChildren();
        box.focus();
      };
      elsewhere.replaceChildren(
        element("span", { class: "wb-warn" }, "Changed elsewhere meanwhile, to: "),
        foreign(stored || "(nothing)"),
        element("button", { type: "button", on: { click: keep } }, "Keep mine"),
      );
    },
    // What it was typed for is gone; it can still become something new.
    orphan(then, what) {
      apply = then;
      applyButton.textContent = what;
      elsewhere.replaceChildren(element("span", { class: "wb-warn" }, "Removed elsewhere meanwhile. What you typed is kept here."));
    },
    adopt() {
      apply = intended;
      applyButton.textContent = "Apply";
    },
  };
}
