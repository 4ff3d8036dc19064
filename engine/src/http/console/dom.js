// Elements. Received data only ever becomes text: what others publish cannot run here.

export const $ = (id) => document.getElementById(id);

/** A new element with a class, text and children; text is never markup. */
export function el(tag, className = "", text = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== "") node.textContent = text;
  node.append(...children);
  return node;
}

/** A button that submits nothing. */
export function button(text, onclick, className = "") {
  const node = el("button", className, text);
  node.type = "button";
  node.onclick = onclick;
  return node;
}

/** Changes a node's text if it is another: an unchanged node is not laid out again. */
export function setNodeText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const setText = (id, text) => setNodeText($(id), text);
