// The rooms this page is in, and the one that is chosen to publish to.

import { command, isOpen, on, onLost } from "./connection.js";
import { hue } from "./colour.js";
import { $, button, el } from "./dom.js";
import { isNumber, messages } from "./format.js";
import { note } from "./messages.js";
import { refused } from "./notices.js";
import { newSignal } from "./signal.js";
import { newStream } from "./streams.js";

const JOIN_LAST = 20;
const rooms = new Map(); // name -> its stream
const changes = newSignal(), gaps = newSignal();
let chosen = "";

/** `callback()` when a room came, went or was chosen, or when its members changed as far as this page knows. */
export const onRooms = changes.add;
/** `callback()` when messages were missed for good while the page was away. */
export const onMissed = gaps.add;
/** The stream of a room this page is in, or undefined. */
export const roomOf = (name) => rooms.get(name);
/** Their names. */
export const roomNames = () => [...rooms.keys()];
/** What the form to publish names; any text. */
export const chosenRoom = () => chosen;

export function choose(name) {
  chosen = name;
  changed();
}

/** Joins now, or as soon as there is a connection, and again after each pause. */
export function join(name) {
  if (!name || rooms.has(name)) return;
  const room = newStream(name, hue(name));
  rooms.set(name, room);
  if (isOpen()) sendJoin(room);
  changed();
}

/** After a pause the stream goes on where it stopped; the first time, the latest messages come along. */
function sendJoin(room) {
  const at = room.last ?? room.stand;
  const recover = room.epoch !== null && at !== null ? { epoch: room.epoch, offset: at } : undefined;
  command(recover ? { type: "join", room: room.name, recover } : { type: "join", room: room.name, last: JOIN_LAST }).catch((error) => {
    if (!error.lost) forget(room.name);
    refused(error);
  });
}

export function leave(name) {
  if (!isOpen()) return forget(name);
  command({ type: "leave", room: name }).catch(refused);
}

function forget(name) {
  rooms.delete(name);
  changed();
}

function joined(item, asked) {
  const room = rooms.get(item.room);
  if (!room) return;
  const missed = asked?.command.recover;
  if (missed && item.recovered !== true) {
    const lostCount = item.epoch === missed.epoch ? item.offset - missed.offset : NaN;
    note(lostCount >= 1 ? `${room.name}: ${messages(lostCount)} missed and no longer kept; it goes on after offset ${item.offset}.`
      : `${room.name}: the stream began again (epoch ${item.epoch}).`, room.name, lostCount >= 1);
    if (lostCount >= 1) gaps.tell();
  } else if (missed && item.offset > missed.offset) {
    note(`${room.name}: back, with ${messages(item.offset - missed.offset)} recovered that it missed.`, room.name);
  }
  if (!missed || item.recovered !== true) room.last = null;
  Object.assign(room, { joined: true, recovered: item.recovered === true, epoch: item.epoch, stand: item.offset, members: item.members });
  changed();
}

function changed() {
  drawChips();
  changes.tell();
}

function newChip(room) {
  const name = button(room.name, () => choose(room.name), "name"), out = button("×", () => leave(room.name), "leave");
  name.title = "Publish to " + room.name;
  out.title = "Leave " + room.name;
  out.setAttribute("aria-label", out.title);
  const chip = el("li", "chip" + (room.joined ? "" : " waiting") + (room.name === chosen ? " chosen" : ""), "", name, out);
  if (isNumber(room.members)) name.append(el("span", "soft small", ` ${room.members}`));
  chip.style.setProperty("--hue", room.hue);
  return chip;
}

function drawChips() {
  const focused = $("chips").contains(document.activeElement) ? document.activeElement.title : null;
  $("chips").replaceChildren(...[...rooms.values()].map(newChip));
  if (focused) [...$("chips").querySelectorAll("button")].find((button) => button.title === focused)?.focus();
  $("known-rooms").replaceChildren(...roomNames().map((name) => { const option = el("option"); option.value = name; return option; }));
  const hash = roomNames().join(",");
  $("another").href = location.pathname + location.search + "#" + hash;
  history.replaceState(null, "", "#" + hash); // rooms only: a reload joins them again
}

/** The rooms that the page's address names, or the one to begin with. */
function askedRooms() {
  const names = location.hash.slice(1).replaceAll("%3A", ":").split(",")
    .filter((name) => /^[A-Za-z0-9._\-:=~+][A-Za-z0-9._\-:=~+@]{0,127}$/.test(name));
  return names.length ? names.slice(0, 32) : ["demo:lobby"];
}

export function startRooms() {
  on("welcome", () => { for (const room of rooms.values()) sendJoin(room); });
  on("joined", joined);
  on("left", (item) => forget(item.room));
  onLost(() => {
    for (const room of rooms.values()) room.joined = false;
    changed();
  });
  $("join-form").onsubmit = (submit) => {
    submit.preventDefault();
    const name = $("join-room").value.trim();
    $("join-room").value = "";
    join(name);
    choose(name);
  };
  const asked = askedRooms();
  choose(asked[0]);
  for (const name of asked) join(name);
}
