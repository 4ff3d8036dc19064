// How far the server's clock is ahead of this one: every answer and every message narrows the bounds (ms).

import { command, on } from "./connection.js";
import { isNumber } from "./format.js";
import { newSignal } from "./signal.js";

const SOUNDINGS_MS = [0, 150, 300, 450, 900]; // heartbeats after a welcome
const skew = { low: -Infinity, high: Infinity };
const trips = newSignal();

/** `callback(milliseconds)` with each round trip. */
export const onRoundTrip = trips.add;

const clock = () => performance.timeOrigin + performance.now(); // ms since 1970, finer than Date.now()

function narrow(low, high) {
  const narrowed = [Math.max(skew.low, low), Math.min(skew.high, high)];
  // Bounds that cross mean that a clock was set or drifted: begin again.
  [skew.low, skew.high] = narrowed[0] <= narrowed[1] ? narrowed : [low, high];
}

/** Time since a server's timestamp, which is cut to whole milliseconds; NaN as long as the clocks are not compared. */
export function since(timestamp) {
  const stamped = Date.parse(timestamp), now = clock();
  if (!isNumber(stamped) || skew.high === Infinity) return NaN;
  narrow(stamped - now, Infinity); // nothing arrives before it was sent
  if (skew.high === Infinity) return NaN;
  return Math.max(0, now + (skew.low + skew.high) / 2 - stamped - 0.5);
}

/** Begins to compare. */
export function startClocks() {
  on("welcome", () => {
    Object.assign(skew, { low: -Infinity, high: Infinity });
    for (const delay of SOUNDINGS_MS) setTimeout(() => command({ type: "heartbeat" }).catch(() => {}), delay);
  });
  on("heartbeat_ack", (item, asked) => {
    if (!asked) return;
    const trip = performance.now() - asked.at, server = Date.parse(item.server_time);
    trips.tell(trip);
    if (isNumber(server)) narrow(server - clock(), server + 1 - (clock() - trip));
  });
}
