// The whole engine: GET /v1/statistics each second.

import { token } from "./access.js";
import { on } from "./connection.js";
import { $, setText } from "./dom.js";
import { bytes, count, isNumber, ms, rate, span } from "./format.js";
import { REFUSED_PAUSE_MS, http, trouble } from "./http.js";
import { drawShards } from "./shards.js";
import { tellShown, whileVisible } from "./visible.js";

const POLL_MS = 1000;
let before = null; // { at, body } of the poll before

function say(text) {
  $("engine").hidden = text !== "";
  $("engine-note").hidden = text === "";
  setText("engine-note", text);
}

async function poll() {
  if (!token()) return undefined;
  try {
    draw(await http("GET", "/v1/statistics"));
    say("");
    return undefined;
  } catch (error) {
    say(trouble(error, "statistics"));
    return error.status && REFUSED_PAUSE_MS;
  }
}

function draw(body) {
  const at = isNumber(body.uptime_seconds) ? body.uptime_seconds : performance.now() / 1000;
  const seconds = before ? at - before.at : 0;
  const perSecond = (now, then) => seconds > 0 && isNumber(now) && isNumber(then) && now >= then ? (now - then) / seconds : NaN;
  const shards = Array.isArray(body.shards) ? body.shards : [];
  setText("driver", [body.driver, body.draining ? "draining" : ""].filter(Boolean).join(", "));
  $("driver").title = String(body.driver_reason ?? "");
  for (const [id, text] of [
    ["connections", count(body.connections)], ["rooms", count(body.rooms)], ["memory", bytes(body.resident_bytes)],
    ["published", rate(perSecond(body.published, before?.body.published))],
    ["delivered", rate(perSecond(body.delivered, before?.body.delivered))],
    ["uptime", span(body.uptime_seconds)],
    ["p50", ms(body.publish_to_flush_ms?.p50)], ["p99", ms(body.publish_to_flush_ms?.p99)],
    ["backlog", bytes(body.backlog_bytes ?? shards.reduce((sum, of) => sum + (of.backlog_bytes ?? 0), 0))],
  ]) setText("s-" + id, text);
  drawShards(shards, before?.body.shards, perSecond);
  before = { at, body };
}

export function startEngine() {
  const box = $("engine").parentElement;
  on("welcome", () => tellShown(box));
  whileVisible(box, POLL_MS, poll);
}
