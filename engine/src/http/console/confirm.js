// A button that asks once more before it does something that cannot be undone.

import { button, el } from "./dom.js";

const PATIENCE_MS = 6000;

/** `label` becomes `question` and a way back; only the second click calls `action()`, which may be async. */
export function confirmButton(label, question, action) {
  const place = el("span", "confirm");
  let timer = 0;
  function calm(focus = false) {
    clearTimeout(timer);
    const first = button(label, ask, "tiny");
    place.replaceChildren(first);
    if (focus) first.focus();
  }
  function ask() {
    const sure = button(question, async () => {
      clearTimeout(timer);
      sure.disabled = true;
      try { await action(); } finally { calm(); }
    }, "tiny danger");
    const back = button("Keep", () => calm(true), "tiny");
    place.replaceChildren(sure, back);
    place.onkeydown = (key) => { if (key.key === "Escape") calm(true); };
    back.focus(); // a second click or Enter in the same place must not be enough
    timer = setTimeout(calm, PATIENCE_MS);
  }
  calm();
  return place;
}
