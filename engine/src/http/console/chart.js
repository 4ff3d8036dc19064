// The last minute as a picture: dots above (latency, logarithmic), rates below. Time flows to the left.

import { $, el } from "./dom.js";
import { count } from "./format.js";
import { BUCKETS, BUCKET_MS, MINUTE_MS, rates, roll } from "./rates.js";

const DOTS_MAX = 800;
const LATENCY_LOW = 0.1, LATENCY_HIGH = 1000, DECADES = Math.log10(LATENCY_HIGH / LATENCY_LOW); // ms
const colours = {};
const stamps = new Map(); // hue -> a dot drawn once, since copying is cheaper than drawing a circle
let dots = []; // { at, latency, hue } of the last minute

export function addDot(at, latency, hue) {
  dots.push({ at, latency, hue });
  if (dots.length > DOTS_MAX) dots = dots.filter((_, i) => i % 2); // thinner, but still the whole minute
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  stamps.clear();
  for (const name of ["line", "soft", "in", "out", "room-l"]) colours[name] = style.getPropertyValue("--" + name).trim();
}

function stamp(hue) {
  if (!stamps.has(hue)) {
    const canvas = el("canvas"), pen = canvas.getContext("2d");
    canvas.width = canvas.height = 24;
    pen.fillStyle = `oklch(${colours["room-l"]} .15 ${hue})`;
    pen.arc(12, 12, 12, 0, 7);
    pen.fill();
    stamps.set(hue, canvas);
  }
  return stamps.get(hue);
}

/** A pen in CSS pixels on the whole, empty canvas. */
function cleanPen(canvas) {
  const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "10.5px system-ui, sans-serif";
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  return pen;
}

/** Where things are; `x` of a time, in ms. */
function newFrame(canvas, now) {
  const height = canvas.clientHeight, left = 46, right = canvas.clientWidth - 2, middle = Math.round(height * .6);
  return { left, right, height, top: 6, middle, bottom: height - 3, x: (at) => right - (now - at) / MINUTE_MS * (right - left) };
}

function drawLine(pen, { left, right }, y) {
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1;
  pen.beginPath(); pen.moveTo(left, y + .5); pen.lineTo(right, y + .5); pen.stroke();
}

function drawLatencies(pen, frame, now) {
  const { left, top, middle, x } = frame;
  const y = (latency) => middle - 8 - Math.min(1, Math.max(0, Math.log10(latency / LATENCY_LOW) / DECADES)) * (middle - 8 - top);
  for (const mark of [0.1, 1, 10, 100, 1000]) {
    drawLine(pen, frame, Math.round(y(mark)));
    pen.fillStyle = colours.soft;
    pen.fillText(mark < 1000 ? mark + " ms" : "1 s", left - 7, y(mark));
  }
  while (dots.length && now - dots[0].at > MINUTE_MS) dots.shift();
  for (const dot of dots) {
    const age = now - dot.at, radius = age < 300 ? 6 - age / 100 : 3;
    pen.globalAlpha = .25 + .75 * (1 - age / MINUTE_MS);
    pen.drawImage(stamp(dot.hue), x(dot.at) - 3 - radius, y(Math.max(LATENCY_LOW, dot.latency)) - radius, 2 * radius, 2 * radius);
  }
  pen.globalAlpha = 1;
}

function drawRates(pen, frame) {
  const { left, right, height, middle, bottom, x } = frame;
  let peak = 5;
  for (let i = 0; i < BUCKETS; i++) peak = Math.max(peak, rates.in[i] * 2, rates.out[i] * 2);
  const base = middle + 16, level = (value) => bottom - value / peak * (bottom - base);
  pen.fillStyle = colours.soft;
  pen.fillText(count(peak) + "/s", left - 7, base + 2);
  pen.fillText("0", left - 7, bottom - 4);
  drawLine(pen, frame, bottom);
  pen.save();
  pen.beginPath(); pen.rect(left, 0, right - left, height); pen.clip();
  const oldest = Math.max(0, rates.newest - BUCKETS + 1);
  for (const direction of ["in", "out"]) {
    pen.beginPath();
    for (let at = oldest; at < rates.newest; at++) {
      pen.lineTo(x((at + 1) * BUCKET_MS), level(rates[direction][at % BUCKETS] * 2));
    }
    pen.strokeStyle = pen.fillStyle = colours[direction];
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    pen.stroke();
    if (direction === "out") continue;
    pen.lineTo(x(rates.newest * BUCKET_MS), bottom);
    pen.lineTo(x((oldest + 1) * BUCKET_MS), bottom);
    pen.globalAlpha = .18;
    pen.fill();
    pen.globalAlpha = 1;
  }
  pen.restore();
}

export function drawChart(now) {
  roll(now);
  const canvas = $("chart"), pen = cleanPen(canvas), frame = newFrame(canvas, now);
  drawLatencies(pen, frame, now);
  drawRates(pen, frame);
}

export function startChart() {
  readColours();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
}
