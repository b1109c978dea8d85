// Elements are made here and nowhere else. Text only ever becomes textContent, so nothing a model, a dataset or a
// colleague wrote can turn into markup; attributes that would run it are refused.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(node.dataset, value);
    } else if (name === "style") {
      Object.assign(node.style, value);
    } else if (/^on|^srcdoc$|html$/i.test(name)) {
      throw new Error(`element() does not set ${name}`);
    } else if (name in node && typeof value !== "string") {
      node[name] = value;
    } else {
      node.setAttribute(name, value === true ? "" : value);
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Text somebody else wrote: its direction is its own and cannot reorder what stands around it.
function foreign(text, attributes = {}) {
  return element("bdi", { dir: "auto", ...attributes }, String(text ?? ""));
}

// Frees what a blob: URL holds; any other URL, or none, holds nothing.
const release = (url) => url?.startsWith("blob:") && URL.revokeObjectURL(url);
