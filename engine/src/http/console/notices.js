// Short notices in the corner.

import { $, button, el } from "./dom.js";

const TOASTS_MAX = 5;
const INFO_MS = 4000, PROBLEM_MS = 9000;

/** Shows a notice; a repeated one is counted instead of stacked. */
export function toast(title, text, info = false) {
  const key = title + "\n" + text;
  let node = [...$("toasts").children].find((child) => child.key === key);
  if (node) {
    node.times += 1;
    node.firstChild.textContent = `${title} (${node.times} times)`;
  } else {
    const close = button("Dismiss", () => node.remove(), "tiny");
    node = el("div", info ? "toast info" : "toast", "", el("b", "", title), close, el("p", "small", text));
    Object.assign(node, { key, times: 1 });
    $("toasts").append(node);
    while ($("toasts").children.length > TOASTS_MAX) $("toasts").firstChild.remove();
  }
  clearTimeout(node.timer);
  node.timer = setTimeout(() => node.remove(), info ? INFO_MS : PROBLEM_MS);
}

/** Shows an `error` of the engine, or what a command or a request was rejected with. */
export function refused(error) {
  if (error.lost) return; // the state in the header says it
  const field = error.details?.field ? ` (field ${error.details.field})` : "";
  toast(`${error.code ?? ""} ${error.name ?? "ERROR"}`.trim(), String(error.message ?? "") + field);
}
