// The form to publish with.

import { command, isOpen, on, onPhase } from "./connection.js";
import { $, button, setText } from "./dom.js";
import { ms } from "./format.js";
import { refused } from "./notices.js";
import { choose, chosenRoom, onRooms } from "./rooms.js";
import { newSignal } from "./signal.js";
import { published } from "./traffic.js";

const EXAMPLES = [
  ["chat", "chat_message", { text: "hello, everyone", n: "$n" }],
  ["cursor", "cursor_moved", { x: "$random", y: "$random" }],
  ["sensor", "reading", { sensor: "hall-3", celsius: "$random", at: "$now", n: "$n" }],
  ["order", "order_changed", { order: 1042, status: "shipped", lines: [{ sku: "brass-01", quantity: 2 }] }],
];
const drafts = newSignal();
let lastAnswer = "", counter = 0, timer = 0;

/** `callback()` when the form changed. */
export const onDraft = drafts.add;

/** What would be published now: `{ room, event, data }`. */
export function draft() {
  let data = null;
  try { data = fill(editorValue()); } catch { /* the editor says so itself */ }
  return { room: $("room").value.trim(), event: $("event").value.trim(), data };
}

/** The editor's value, or an Error with a sentence. */
function editorValue() {
  const text = $("data").value.trim();
  return text === "" ? null : JSON.parse(text);
}

function checkEditor() {
  let problem = "";
  try { editorValue(); } catch (error) { problem = error.message; }
  $("data").setAttribute("aria-invalid", String(problem !== ""));
  $("data-state").style.color = problem ? "var(--bad)" : "";
  setText("data-state", problem || 'valid; "$n", "$random", "$now" get values');
  drafts.tell();
  return problem === "";
}

function fill(value) {
  if (value === "$n") return counter;
  if (value === "$random") return Math.round(Math.random() * 1000) / 10;
  if (value === "$now") return new Date().toISOString();
  if (Array.isArray(value)) return value.map(fill);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
  return value;
}

/** A name of this publish, so that its copy is recognised whichever comes first, copy or answer. */
function newMessageId() {
  return "page-" + Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Publishes what the form says; false if it cannot be. */
function publish() {
  if (!$("room").value.trim() || !$("event").value.trim() || !checkEditor() || !isOpen()) return false;
  const message_id = newMessageId();
  counter += 1;
  command({ type: "publish", ...draft(), message_id }).catch((error) => {
    if (!error.lost) lastAnswer = "Not published.";
    refused(error);
  });
  published(message_id);
  return true;
}

function setRate(perSecond) {
  clearInterval(timer);
  $("rate").value = perSecond;
  $("rate").style.setProperty("--part", perSecond / $("rate").max);
  setText("rate-text", perSecond ? `${perSecond} per second` : "off");
  if (!perSecond) return;
  let due = 0, before = performance.now();
  timer = setInterval(() => {
    const now = performance.now();
    // A background tab's timers run once a second: catch up, but never by more than one second's worth.
    due = Math.min(due + (now - before) * perSecond / 1000, perSecond);
    before = now;
    if (!isOpen()) return;
    for (; due >= 1; due -= 1) if (!publish()) return setRate(0);
  }, Math.max(20, 1000 / perSecond / 2));
}

function addExamples() {
  for (const [label, event, data] of EXAMPLES) {
    $("examples").append(button(label, () => {
      $("event").value = event;
      $("data").value = JSON.stringify(data, null, 2);
      checkEditor();
    }, "tiny"));
  }
}

export function drawAnswer() { setText("answer", lastAnswer || "\u00a0"); }

export function startPublish() {
  onPhase((phase) => { $("send").disabled = phase !== "open"; });
  on("published", (item, asked) => {
    if (asked) lastAnswer = `Published: ${item.room} at offset ${item.offset}, answered in ${ms(performance.now() - asked.at)}.`;
  });
  onRooms(() => {
    if ($("room").value !== chosenRoom()) $("room").value = chosenRoom();
    drafts.tell();
  });
  $("publish-form").onsubmit = (submit) => { submit.preventDefault(); publish(); };
  $("publish-form").onkeydown = (key) => {
    if (key.key !== "Enter" || !(key.ctrlKey || key.metaKey)) return;
    key.preventDefault();
    $("publish-form").requestSubmit();
  };
  $("data").oninput = checkEditor;
  $("room").oninput = () => choose($("room").value);
  $("event").oninput = drafts.tell;
  $("format").onclick = () => { if (checkEditor()) $("data").value = JSON.stringify(editorValue(), null, 2); };
  $("rate").oninput = () => setRate(Number($("rate").value));
  addExamples();
  $("examples").firstChild.click();
}
