// How long the last messages took from publish to receive.

import { $, el, setText } from "./dom.js";
import { ms } from "./format.js";

const KEEP = 200;
const BOUNDS = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, Infinity]; // ms
const latencies = []; // the last KEEP, ms

export function addLatency(latency) {
  latencies.push(latency);
  if (latencies.length > KEEP) latencies.shift();
}

export function drawLatency() {
  const counts = BOUNDS.map(() => 0);
  for (const latency of latencies) counts[BOUNDS.findIndex((bound) => latency <= bound)] += 1;
  const most = Math.max(1, ...counts);
  counts.forEach((value, i) => {
    const bar = $("bars").children[i];
    bar.style.height = (value / most * 100).toFixed(1) + "%";
    bar.title = `${value}`;
  });
  const sorted = [...latencies].sort((a, b) => a - b);
  const quantile = (part) => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
  setText("p50", ms(quantile(.5)));
  setText("p99", ms(quantile(.99)));
  setText("pmax", ms(quantile(1)));
  $("bars").setAttribute("aria-label", `Histogram of ${sorted.length} latencies: p50 ${ms(quantile(.5))}, p99 ${ms(quantile(.99))}`);
}

export function startLatency() {
  for (const bound of BOUNDS) {
    $("bars").append(el("i"));
    $("scale").append(el("span", "", bound === Infinity ? ">" : bound < 1000 ? String(bound) : "1 s"));
  }
}
