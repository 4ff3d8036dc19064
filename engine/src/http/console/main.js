// Where the page begins. What is where:
//   connection.js  the WebSocket, commands and answers     access.js  the token      http.js   requests
//   rooms.js       rooms this page is in                   streams.js offsets, gaps  clocks.js the server's clock
//   traffic.js     what comes and goes                     messages.js the list      publish.js, terminal.js the forms
//   chart.js, rates.js, latency.js  the last minute        engine.js, shards.js      GET /v1/statistics
//   tabs.js, panels/                a panel for each service; panels/index.js says how to add one
//   dom.js, format.js, colour.js, signal.js, visible.js, table.js, confirm.js, notices.js  small things all use

import { drawChart, startChart } from "./chart.js";
import { startClocks } from "./clocks.js";
import { connect } from "./connection.js";
import { $, setText } from "./dom.js";
import { count, rate } from "./format.js";
import { startEngine } from "./engine.js";
import { drawHeader, startHeader } from "./header.js";
import { drawLatency, startLatency } from "./latency.js";
import { drawMessages, startMessages } from "./messages.js";
import { drawAnswer, startPublish } from "./publish.js";
import { lastSecond, rates, roll } from "./rates.js";
import { startRooms } from "./rooms.js";
import { startTabs } from "./tabs.js";
import { startTerminal } from "./terminal.js";
import { startTraffic, totals } from "./traffic.js";

const TICK_MS = 50, LIST_TICKS = 2, NUMBERS_TICKS = 8, CALM_TICKS = 20;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let ticks = 0;

/** Text that changes all the time, a few times a second. */
function drawNumbers() {
  const now = performance.now();
  roll(now);
  setText("rate-in", rate(lastSecond(rates.in)));
  setText("rate-out", rate(lastSecond(rates.out)));
  setText("total-in", count(totals.received));
  setText("total-out", count(totals.published));
  setText("total-gaps", count(totals.gaps));
  $("total-gaps").style.color = totals.gaps ? "var(--bad)" : "";
  drawAnswer();
  drawHeader(now);
  drawLatency();
}

/** 20 times a second and not with every frame of the screen: time spent drawing would show up as latency. */
function draw() {
  if (document.hidden) return;
  ticks += 1;
  if (ticks % LIST_TICKS === 0) drawMessages();
  if (ticks % NUMBERS_TICKS === 0) drawNumbers();
  if (!calm.matches || ticks % CALM_TICKS === 0) drawChart(performance.now());
}

// Those that listen come before those that speak.
startHeader();
startClocks();
startMessages();
startTraffic();
startLatency();
startChart();
startTerminal();
startPublish();
startRooms();
startEngine();
startTabs();
connect();
setInterval(draw, TICK_MS);
