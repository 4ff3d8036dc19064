// What comes and goes: counts of this tab, gaps, and how long messages took.

import { hue } from "./colour.js";
import { since } from "./clocks.js";
import { onEvery, onLost } from "./connection.js";
import { addDot } from "./chart.js";
import { isNumber } from "./format.js";
import { addLatency } from "./latency.js";
import { note, show } from "./messages.js";
import { tally } from "./rates.js";
import { onMissed, roomOf } from "./rooms.js";
import { newStream, take } from "./streams.js";

const OTHERS_MAX = 64, MINE_MAX = 1000;
const others = new Map(); // streams that come without a join (to a user, a role, all); bounded by OTHERS_MAX
const mine = new Map(); // message_id -> performance.now() of this tab's own publishes; bounded by MINE_MAX

export const totals = { received: 0, published: 0, gaps: 0 };

/** This tab has published it: its copy is recognised by its id, whichever comes first, copy or answer. */
export function published(message_id) {
  mine.set(message_id, performance.now());
  if (mine.size > MINE_MAX) mine.delete(mine.keys().next().value);
  totals.published += 1;
  tally(performance.now(), "out");
}

function streamOf(name) {
  const known = roomOf(name) ?? others.get(name);
  if (known) return known;
  if (others.size >= OTHERS_MAX) others.clear();
  const stream = newStream(name, hue(name));
  others.set(name, stream);
  return stream;
}

/** Only messages have a place and a time: answers and notices of the engine lack one of these. */
const isMessage = (item) => typeof item.room === "string" && isNumber(item.offset) && typeof item.timestamp === "string";

function arrive(item) {
  const now = performance.now(), stream = streamOf(item.room);
  const { began, replayed, again, missing } = take(stream, item);
  if (began) note(`${stream.name}: the stream began again (epoch ${item.epoch}).`, stream.name);
  if (missing) {
    const [from, to] = missing;
    totals.gaps += 1;
    note(`Gap in ${stream.name}: offset ${from === to ? from : from + " to " + to} not received.`, stream.name, true);
  }
  const sent = mine.get(item.message_id), exact = sent !== undefined;
  mine.delete(item.message_id);
  const latency = replayed || again ? NaN : exact ? now - sent : since(item.timestamp);
  totals.received += 1;
  if (!replayed) tally(now, "in");
  if (isNumber(latency)) {
    addLatency(latency);
    addDot(now, latency, stream.hue);
  }
  show(item, stream, { latency, exact, replayed, again });
}

export function startTraffic() {
  onEvery((item, asked) => { if (!asked && isMessage(item)) arrive(item); });
  onMissed(() => { totals.gaps += 1; });
  onLost(() => mine.clear());
}
