// The list of messages, newest first.

import { hue } from "./colour.js";
import { codeName } from "./codes.js";
import { onLost } from "./connection.js";
import { $, el, setText } from "./dom.js";
import { count, isNumber, ms } from "./format.js";

const KEEP = 200, FLASH_MAX = 8;
const queue = []; // not drawn yet, oldest first
let paused = false, held = 0;

/** Puts a sentence between the messages. */
export function note(text, room = "", gap = false) { enqueue({ note: text, gap, hue: room ? hue(room) : 0 }); }

/** Puts a message on top; `stream` is its room's, `exact` says that `latency` (ms) is by this tab's own clock. */
export function show(item, stream, { latency, exact, replayed, again }) {
  enqueue({ item, stream, latency, exact, replayed, again });
}

function enqueue(entry) {
  queue.push(entry);
  if (queue.length > KEEP) queue.shift();
  if (paused) held += 1;
}

function when({ stream, latency, exact, replayed, again }) {
  if (again) return "again";
  if (replayed) return stream.recovered ? "recovered" : "earlier";
  if (!isNumber(latency)) return "–";
  return exact ? ms(latency) : latency < 1 ? "< 1 ms" : `≈ ${count(latency)} ms`;
}

function newRow(entry, calmly) {
  if (entry.note) return el("li", entry.gap ? "note gap" : "note", entry.note);
  const { item, stream, replayed } = entry;
  const preview = item.data === undefined ? "" : JSON.stringify(item.data);
  const summary = el("summary", "", "", el("span", "room mono", stream.name), el("span", "num soft right offset", "#" + item.offset),
    el("span", "event", item.type), el("span", "data mono soft", preview.slice(0, 240)), el("span", "user soft small", item.user_id ?? ""),
    el("span", "num right small latency", when(entry)));
  const details = el("details", "", "", summary);
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const { message_id, epoch, timestamp } = item;
    details.append(el("pre", "", JSON.stringify(item.data, null, 2) ?? "no data"),
      el("p", "note mono", `${timestamp ?? ""}  message ${message_id ?? "–"}  epoch ${epoch ?? "–"}`));
  });
  summary.firstChild.title = stream.name;
  const node = el("li", replayed ? "old" : calmly ? "" : "fresh", "", details);
  node.style.setProperty("--hue", stream.hue);
  return node;
}

export function drawMessages() {
  if (paused) return setText("held", held ? `${count(held)} waiting` : "paused");
  setText("held", "");
  if (!queue.length) return;
  const list = $("list"), calmly = queue.length > FLASH_MAX;
  list.prepend(...queue.splice(0).reverse().map((entry) => newRow(entry, calmly)));
  while (list.children.length > KEEP) list.lastChild.remove();
  list.hidden = false;
  $("empty").hidden = true;
}

export function startMessages() {
  onLost((code, reason, wasOpen) => {
    if (wasOpen) note(`Disconnected: ${codeName(code) ?? "code"} (${code})${reason ? ", " + reason : ""}.`);
  });
  $("pause").onclick = () => {
    paused = !paused;
    held = 0;
    $("pause").setAttribute("aria-pressed", String(paused));
    $("pause").textContent = paused ? "Resume" : "Pause";
  };
  $("clear").onclick = () => {
    queue.length = 0;
    $("list").replaceChildren();
    $("list").hidden = true;
    $("empty").hidden = false;
  };
}
