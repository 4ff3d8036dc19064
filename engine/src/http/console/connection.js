// The WebSocket: it comes back by itself, and every command is a promise of its answer.

import { obtainToken, token, tokenRefused } from "./access.js";
import { AUTHENTICATION_FAILED, LOST, TOKEN_EXPIRED, codeName, staysAway } from "./codes.js";
import { isNumber } from "./format.js";
import { refused, toast } from "./notices.js";
import { newSignal } from "./signal.js";

const BACKOFF_FIRST_MS = 500, BACKOFF_MAX_MS = 20000, STABLE_MS = 5000, PULSE_MS = 5000, WELCOME_MS = 10000;
const UNANSWERED_MAX = 2; // heartbeats
const PENDING_MAX = 4096; // commands; a connection that answers none of so many is as good as lost

const link = { socket: null, phase: "idle", turn: 0, attempt: 0, since: 0, timer: 0, pulse: 0, unanswered: 0, failure: "", user: null };
const pending = new Map(); // command id -> { command, at, resolve, reject }
let nextId = 1;

const phases = newSignal(), losses = newSignal(), everything = newSignal();
const types = new Map(); // type -> signal

/** `callback(phase, text)`; phases: idle, locked (there is no token), connecting, open, waiting, closed. */
export const onPhase = phases.add;
/** `callback(code, reason, wasOpen)` whenever a connection ended, whoever ended it. */
export const onLost = losses.add;
/** `callback(item, asked)` for everything that arrives; `asked` is `{ command, at }` if it answers a command. */
export const onEvery = everything.add;

/** The same for one `type`, a message's event or an answer's. Gives the way to end it. */
export function on(type, callback) {
  if (!types.has(type)) types.set(type, newSignal());
  return types.get(type).add(callback);
}

export const phase = () => link.phase;
export const isOpen = () => link.phase === "open";
/** When the welcome came (performance.now()). */
export const openSince = () => link.since;
/** `{ user_id, role, client_id }` while connected, otherwise null. */
export const user = () => link.user;

function setPhase(phase, text) {
  link.phase = phase;
  phases.tell(phase, text);
}

const base64url = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)))
  .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

/** Connects now; `patient` forgets how often that failed before. */
export async function connect(patient = false) {
  if (patient) link.attempt = 0;
  clearTimeout(link.timer);
  const turn = ++link.turn;
  setPhase("connecting", "connecting");
  try {
    const have = await obtainToken();
    if (turn !== link.turn) return;
    if (!have) return setPhase("locked", "needs a token");
  } catch {
    if (turn === link.turn) retryLater("the engine does not answer");
    return;
  }
  const url = location.origin.replace(/^http/, "ws") + "/v1/ws";
  const socket = new WebSocket(url, ["fanfare.v1.json", "base64url.bearer.fanfare." + base64url(token())]);
  link.socket = socket;
  link.failure = "";
  link.timer = setTimeout(() => lost(socket, LOST, "no welcome in time"), WELCOME_MS);
  socket.onmessage = ({ data }) => {
    if (socket !== link.socket) return;
    let frame;
    try { frame = JSON.parse(data); } catch { return toast("Not JSON", "The server sent something this page cannot read."); }
    for (const item of Array.isArray(frame) ? frame : [frame]) receive(item);
  };
  socket.onclose = ({ code, reason }) => lost(socket, code, reason);
}

/** The one place where a connection ends, whoever ended it. */
function lost(socket, code, reason) {
  if (socket !== link.socket) return;
  const wasOpen = link.phase === "open";
  link.socket = link.user = null;
  clearTimeout(link.timer);
  clearInterval(link.pulse);
  try { socket.close(); } catch { /* it is gone already */ }
  if (code === TOKEN_EXPIRED || code === AUTHENTICATION_FAILED) tokenRefused();
  if (link.since && performance.now() - link.since > STABLE_MS) link.attempt = 0;
  link.since = 0;
  const name = codeName(code) ?? "code " + code;
  if (staysAway(code)) {
    setPhase("closed", `${name} (${code})`);
    if (!link.failure) toast(`${code} ${name}`, `${reason ? reason + ". " : ""}This page does not reconnect by itself.`);
  } else {
    retryLater(name);
  }
  losses.tell(code, reason, wasOpen);
  const waiting = [...pending.values()];
  pending.clear();
  for (const { reject } of waiting) reject(notSent("The connection ended before the answer."));
}

/** Full jitter: anything between nothing and the bound, so that a restart does not bring everybody back at once. */
function retryLater(why) {
  const delay = Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** link.attempt++);
  setPhase("waiting", `${why}, trying again`);
  link.timer = setTimeout(connect, delay);
}

/** Ends the connection, and does not come back. */
export function disconnect() {
  link.turn++;
  if (link.socket) lost(link.socket, 1000, "by you");
  clearTimeout(link.timer);
  setPhase("idle", "disconnected");
}

const notSent = (text) => Object.assign(new Error(text), { name: "NOT_CONNECTED", lost: true });

/**
 * Sends a command with an id of its own. Resolves with the answer; rejects with an Error that has the `code`, `name`,
 * `message` and `details` of the engine's `error`, or `lost: true` when there is no connection or it ended before.
 * What follows an answer in the same frame is told before the promise goes on: use `on` where the order matters.
 */
export function command(object) {
  return new Promise((resolve, reject) => {
    if (!isOpen() || link.socket.readyState !== WebSocket.OPEN) return reject(notSent("There is no connection."));
    if (pending.size >= PENDING_MAX) return reject(notSent("Too many commands are not answered yet."));
    const id = nextId++, sent = { ...object, id };
    pending.set(id, { command: sent, at: performance.now(), resolve, reject });
    link.socket.send(JSON.stringify(sent));
  });
}

function receive(item) {
  if (typeof item !== "object" || item === null || typeof item.type !== "string") return;
  const asked = pending.get(item.id);
  pending.delete(item.id);
  if (item.type === "welcome") opened(item);
  else if (item.type === "heartbeat_ack") link.unanswered = 0;
  else if (item.type === "error" && !asked) {
    if (link.phase === "connecting") link.failure = String(item.message ?? ""); // the close that follows needs no second notice
    refused(item);
  }
  types.get(item.type)?.tell(item, asked);
  everything.tell(item, asked);
  if (!asked) return;
  if (item.type === "error") asked.reject(Object.assign(new Error(), item));
  else asked.resolve(item);
}

function opened(item) {
  clearTimeout(link.timer);
  Object.assign(link, { since: performance.now(), unanswered: 0 });
  link.user = { user_id: item.user_id, role: item.role, client_id: item.client_id };
  const interval = isNumber(item.heartbeat_interval) && item.heartbeat_interval >= 1000 ? item.heartbeat_interval : PULSE_MS;
  clearInterval(link.pulse);
  link.pulse = setInterval(pulse, Math.min(interval, PULSE_MS));
  setPhase("open", "connected");
}

function pulse() {
  if (link.unanswered >= UNANSWERED_MAX) return lost(link.socket, LOST, "no answer to the heartbeat");
  link.unanswered += 1;
  command({ type: "heartbeat" }).catch(refused);
}
