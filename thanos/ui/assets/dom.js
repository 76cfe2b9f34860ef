// Elements without innerHTML: whatever a store or a label says is text, never markup.

const SVG = new Set(["svg", "g", "path", "line", "rect", "circle", "text", "tspan", "title", "defs", "marker"]);

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

export function h(tag, attributes, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function s(tag, attributes, ...children) {
  if (!SVG.has(tag)) throw new Error(`not an SVG element: ${tag}`);
  return build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/// Makes `old` look like `next` and keeps what both have, so that focus, hover and scroll outlive a refresh.
/// A node with `live` brings itself up to date. Listeners of `next` are lost where a node is kept.
export function morph(old, next) {
  if (old.live && next.live) return void old.live.set(next.live.data);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    // An open <details> is the reader's choice.
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  morphChildren(old, [...next.childNodes]);
}

export function morphChildren(parent, next) {
  const keyed = new Map([...parent.children].filter((c) => c.dataset?.key).map((c) => [c.dataset.key, c]));
  let at = parent.firstChild;
  for (const node of next) {
    const key = node.dataset?.key;
    let match = key ? keyed.get(key) : at;
    if (match && !same(match, node)) match = null;
    if (match) {
      if (match !== at) parent.insertBefore(match, at);
      at = match.nextSibling;
      morph(match, node);
    } else {
      parent.insertBefore(node, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function same(a, b) {
  return a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key && !a.live === !b.live;
}

/// A panel that says what is not there and what to do about it.
export function empty(title, ...text) {
  return h("section", { class: "panel empty" }, h("h2", {}, title), text.map((t) => (typeof t === "string" ? h("p", {}, t) : t)));
}

/// What the stores could not answer: said above every view that used the answer.
export function notes(warnings, infos = []) {
  if (!warnings.length && !infos.length) return null;
  return h("section", { class: "notes", "aria-label": "Warnings" },
    warnings.length > 0 && h("div", { class: "note warn" }, h("strong", {}, "Incomplete answer"),
      h("ul", {}, warnings.map((w) => h("li", {}, w)))),
    infos.length > 0 && h("div", { class: "note" }, h("strong", {}, "Note"), h("ul", {}, infos.map((w) => h("li", {}, w)))));
}
