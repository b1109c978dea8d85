// Keys of a widget: while it has the focus JupyterLab does not hear them, `?` opens the sheet that lists them, and Escape
// gives the keyboard back. `keys` maps a key as KeyboardEvent.key names it ("a", "ArrowRight", "Ctrl+z", "Alt+ArrowUp",
// "Shift+ArrowUp") to an action, `sheet` is a keySheet().
function ownKeyboard(root, keys, sheet) {
  root.tabIndex = 0;
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    const held = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "");
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (typing) root.focus();
      else if (sheet.shown) sheet.toggle();
      else event.target.blur();
      return;
    }
    const pressing = /^(Enter| )$/.test(event.key) && event.target.closest("button, a, summary");
    if (!typing && !pressing) {
      const shifted = event.shiftKey && event.key.length > 1 ? keys[`${held}Shift+${event.key}`] : null;
      const action = held + event.key === "?" ? sheet.toggle : shifted ?? keys[held + event.key];
      if (action) {
        event.preventDefault();
        action(event);
      }
    }
    event.stopPropagation();
  });
}

// The sheet of a widget's keys, `lines` = [[keys, what they do]], and the button that opens it; closing it puts the
// focus back where it was.
function keySheet(root, lines) {
  let before = null;
  const row = ([keys, does]) => element("div", {}, element("dt", {}, keys.split(" ").map((key) => element("kbd", {}, key))), element("dd", {}, does));
  const all = [...lines, ["?", "these keys"], ["Esc", "leave a field, these keys, the widget"]];
  const node = element("div", { class: "wb-keys", role: "dialog", "aria-label": "keys", tabIndex: -1, hidden: true },
    element("dl", {}, all.map(row)), element("button", { type: "button", on: { click: toggle } }, "close (Esc)"));
  const button = element("button", { type: "button", "aria-expanded": "false", on: { click: toggle } }, "keys (?)");

  function toggle() {
    const focused = document.activeElement;
    const inside = node.contains(focused);
    node.hidden = !node.hidden;
    button.setAttribute("aria-expanded", String(!node.hidden));
    if (!node.hidden) {
      before = root.contains(focused) ? focused : root;
      node.focus();
    } else if (inside) {
      (root.contains(before) ? before : root).focus({ preventScroll: true });
    }
  }

  return {
    node,
    button,
    toggle,
    get shown() {
      return !node.hidden;
    },
  };
}
