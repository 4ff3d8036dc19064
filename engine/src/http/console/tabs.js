// The panels of the services, one tab each. The chosen one is in the page's address: /?panel=connections.

import { on } from "./connection.js";
import { $, button, el } from "./dom.js";
import { page } from "./page.js";
import { PANELS } from "./panels/index.js";
import { tellShown } from "./visible.js";

const SETTLED_MS = 300;
const tabs = []; // { id, tab, view, body }
let chosen = "";

/** Every panel is mounted from the start, so that it misses nothing; one that fails says so in its own place. */
function mount({ id, title, about, mount }) {
  const tab = button(title, () => choose(id, true)), body = el("div", "panel");
  const view = el("div", "", "", el("p", "about soft small", about), body);
  tab.id = "tab-" + id;
  view.id = "panel-" + id;
  for (const [name, value] of [["role", "tab"], ["aria-controls", view.id]]) tab.setAttribute(name, value);
  for (const [name, value] of [["role", "tabpanel"], ["aria-labelledby", tab.id]]) view.setAttribute(name, value);
  view.hidden = true;
  $("tabs").append(tab);
  $("panels").append(view);
  tabs.push({ id, tab, view, body });
  try {
    mount(body, page);
  } catch (error) {
    reportError(error);
    body.replaceChildren(el("p", "empty", "This panel could not be started."));
  }
}

function choose(id, byHand) {
  for (const { id: other, tab, view } of tabs) {
    tab.setAttribute("aria-selected", String(other === id));
    tab.tabIndex = other === id ? 0 : -1;
    view.hidden = other !== id;
  }
  chosen = id;
  look();
  if (byHand) history.replaceState(null, "", "?panel=" + id + location.hash);
}

/** What the chosen panel shows is fetched now. */
function look() { tellShown(tabs.find(({ id }) => id === chosen).body); }

/** Arrow keys go from tab to tab, as tabs do everywhere. */
function walk(key) {
  const at = tabs.findIndex(({ tab }) => tab === document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[key.key];
  if (at < 0 || to === undefined) return;
  key.preventDefault();
  const next = tabs[(to + tabs.length) % tabs.length];
  choose(next.id, true);
  next.tab.focus();
}

export function startTabs() {
  PANELS.forEach(mount);
  const asked = new URLSearchParams(location.search).get("panel");
  const known = tabs.some(({ id }) => id === asked);
  choose(known ? asked : tabs[0].id, false);
  $("tabs").onkeydown = walk;
  on("welcome", look);
  if (!known) return;
  $("panels").scrollIntoView();
  // The list above grows when the first messages come.
  const end = on("joined", () => { end(); setTimeout(() => $("panels").scrollIntoView(), SETTLED_MS); });
}
