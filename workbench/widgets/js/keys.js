// Keys of a widget: while it has the focus JupyterLab does not hear them, and Escape gives the keyboard back.
// `keys` maps a key as KeyboardEvent.key names it ("a", "ArrowRight", "?", "Ctrl+z", "Alt+ArrowUp", "Shift+ArrowUp") to an action.
function ownKeyboard(root, keys) {
  root.tabIndex = 0;
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    const held = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + (event.altKey ? "Alt+" : "");
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (typing) root.focus();
      else event.target.blur();
      return;
    }
    const pressing = /^(Enter| )$/.test(event.key) && event.target.closest("button, a, summary");
    if (!typing && !pressing) {
      const shifted = event.shiftKey && event.key.length > 1 ? keys[`${held}Shift+${event.key}`] : null;
      const action = shifted ?? keys[held + event.key];
      if (action) {
        event.preventDefault();
        action(event);
      }
    }
    event.stopPropagation();
  });
}
