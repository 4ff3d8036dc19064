// Values, rules and scores of the chosen room: docs/services/monitor.md and docs/services/score.md.

import { hue } from "../colour.js";
import { button, el, setNodeText } from "../dom.js";

export const id = "monitors";
export const title = "Monitors";
export const about = "Values of the room that is chosen on the left as they change, their thresholds, alerts, and the scores of its group; Try it feeds it a heart rate, a breath and a rule for each.";

const MINUTE_MS = 60000, FRAME_MS = 100, FEED_MS = 250, POINTS_MAX = 1200, ALERTS_MAX = 50;

const newRoom = () => ({ lines: new Map(), rules: new Map(), scores: new Map(), alerts: [] });

export function mount(element, page) {
  const rooms = new Map(); // room -> what is known of it
  const canvas = el("canvas", "lines"), legend = el("p", "row small"), empty = el("p", "empty"), rules = el("ul", "rules");
  const scores = el("div", "gauges"), feed = button("Try it", toggle, "main");
  let feeding = 0;

  const roomOf = (name) => {
    if (!rooms.has(name)) rooms.set(name, newRoom());
    return rooms.get(name);
  };
  const ask = (type, data, room = page.room()) => page.command({ type, room, data });

  function takeValues(room, values) {
    for (const [name, { value, at }] of Object.entries(values)) {
      if (!room.lines.has(name)) room.lines.set(name, []);
      const line = room.lines.get(name), time = Date.parse(at);
      if (line.at(-1)?.time !== time) line.push({ time, value });
      if (line.length > POINTS_MAX) line.shift();
    }
  }

  function takeScore(room, score) {
    room.scores.set(score.score_id, { ...room.scores.get(score.score_id), ...score });
  }

  /** A sine for each value, and a rule and a score that they pass now and then. */
  async function toggle() {
    if (feeding) {
      clearInterval(feeding);
      feeding = 0;
      feed.textContent = "Try it";
      return;
    }
    const room = page.room();
    try {
      await ask("monitor.set_rule", { rule_id: "fast-heart", name: "heart_rate", limit: "above", threshold: 95, hysteresis: 5, for_seconds: 1, severity: "critical" }, room);
      await ask("monitor.set_rule", { rule_id: "slow-breath", name: "breath_rate", limit: "below", threshold: 11, hysteresis: 1, severity: "info" }, room);
      await ask("score.define", { score_id: "in-time", threshold: 0.8, hysteresis: 0.1, title: "Breathing together" }, room);
    } catch (error) {
      return page.refused(error);
    }
    feed.textContent = "Stop";
    feeding = setInterval(() => {
      const t = Date.now() / 1000, part = Math.sin(t / 4);
      const report = { heart_rate: 80 + 25 * part, breath_rate: 14 + 4 * Math.sin(t / 6) };
      Promise.all([
        ask("monitor.report", { values: report }, room), ask("score.report", { score_id: "in-time", value: (1 + part) / 2 }, room),
      ]).catch((error) => { toggle(); page.refused(error); });
    }, FEED_MS);
  }

  const colourOf = (name) => `oklch(${getComputedStyle(document.documentElement).getPropertyValue("--room-l").trim()} .15 ${hue(name)})`;

  function cleanPen() {
    const scale = devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = "10.5px system-ui, sans-serif";
    return pen;
  }

  /** Each value has a band of its own height, since units differ; time flows to the left. */
  function drawLines(room, now) {
    const pen = cleanPen(), { clientWidth: width, clientHeight: height } = canvas, style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue("--" + name).trim(), x = (time) => width - (now - time) / MINUTE_MS * width;
    const band = height / Math.max(1, room.lines.size);
    [...room.lines].forEach(([name, line], i) => {
      const limits = [...room.rules.values()].filter((rule) => rule.name === name && !rule.limit.startsWith("rate")).map((rule) => ({ rule, at: rule.threshold }));
      const seen = line.filter((point) => now - point.time < MINUTE_MS + 2000), all = [...seen.map((point) => point.value), ...limits.map(({ at }) => at)];
      const low = Math.min(...all), high = Math.max(...all), room_ = (high - low) * .15 || 1;
      const y = (value) => (i + 1) * band - 6 - (value - low + room_) / (high - low + 2 * room_) * (band - 12);
      for (const { rule, at } of limits) {
        pen.strokeStyle = pen.fillStyle = colour(rule.status === "alerting" ? "bad" : "soft");
        pen.setLineDash([5, 4]);
        pen.beginPath(); pen.moveTo(0, y(at)); pen.lineTo(width, y(at)); pen.stroke();
        pen.setLineDash([]);
        pen.fillText(`${rule.rule_id}: ${rule.limit} ${at}`, 4, y(at) - 4);
      }
      pen.strokeStyle = colourOf(name);
      pen.lineWidth = 1.8;
      pen.lineJoin = "round";
      pen.beginPath();
      for (const point of seen) pen.lineTo(x(point.time), y(point.value));
      pen.stroke();
      pen.lineWidth = 1;
    });
    for (const { time, event, severity } of room.alerts) {
      pen.fillStyle = colour(event === "$recovered" ? "good" : severity === "info" ? "warn" : "bad");
      pen.fillRect(x(time) - 1, 0, 2, height);
      pen.beginPath(); pen.arc(x(time), 6, 5, 0, 7); pen.fill();
    }
  }

  function drawLegend(room) {
    legend.replaceChildren(...[...room.lines].map(([name, line]) => {
      const key = el("span", "num", `${name} ${line.at(-1)?.value.toFixed(1) ?? "–"}`);
      key.style.color = colourOf(name);
      return key;
    }));
    rules.replaceChildren(...[...room.rules.values()].map((rule) => {
      const kind = { ok: "good", pending: "warn", alerting: "bad" }[rule.status] ?? "";
      return el("li", "row", "", el("span", "tag " + kind, rule.status), el("span", "", rule.rule_id), el("span", "soft small", `${rule.name}, ${rule.severity}`),
        button("Remove", () => ask("monitor.remove_rule", { rule_id: rule.rule_id }).catch(page.refused), "tiny"));
    }));
  }

  function drawScores(room) {
    scores.replaceChildren(...[...room.scores.values()].map((score) => {
      const track = el("span", "track", "", el("i"), el("b")), part = (value) => Math.min(1, Math.max(0, value / (score.threshold * 1.25 || 1)));
      track.style.setProperty("--part", part(score.value ?? 0));
      track.style.setProperty("--threshold", part(score.threshold));
      const users = score.users === 1 ? "1 user" : `${score.users} users`;
      return el("div", "gauge", "", el("p", "row", "", el("b", "", score.score_id), el("span", "num", score.value === undefined || score.value === null ? "–" : score.value.toFixed(2)),
        el("span", score.reached ? "tag good" : "tag", score.reached ? "reached" : `below ${score.threshold}`), el("span", "soft small", users)), track);
    }));
  }

  function draw() {
    const room = roomOf(page.room()), now = Date.now();
    room.alerts = room.alerts.filter((alert) => now - alert.time < MINUTE_MS).slice(-ALERTS_MAX);
    canvas.hidden = room.lines.size === 0;
    empty.hidden = room.lines.size + room.rules.size + room.scores.size > 0;
    setNodeText(empty, page.user() ? "Nobody has reported a value in this room." : "There is no connection.");
    if (!canvas.hidden) drawLines(room, now);
  }

  function changed(name) {
    const room = roomOf(name);
    if (name !== page.room()) return;
    drawLegend(room);
    drawScores(room);
  }

  const follow = (type, take) => page.on(type, (item) => {
    if (typeof item.data !== "object" || item.data === null) return;
    take(roomOf(item.room), item.data, item);
    changed(item.room);
  });
  follow("$values", (room, data) => takeValues(room, data.values));
  follow("$rule_set", (room, rule) => room.rules.set(rule.rule_id, rule));
  follow("$rule_removed", (room, { rule_id }) => room.rules.delete(rule_id));
  for (const event of ["$alert", "$recovered"]) follow(event, (room, data, item) => {
    room.alerts.push({ time: Date.parse(item.timestamp), event, severity: data.severity });
    const rule = room.rules.get(data.rule_id);
    if (rule) rule.status = event === "$alert" ? "alerting" : "ok";
  });
  follow("$score", takeScore);
  follow("$score_defined", takeScore);
  follow("$score_removed", (room, { score_id }) => room.scores.delete(score_id));
  follow("$score_reached", (room, data) => takeScore(room, { ...data, reached: true }));
  follow("$score_lost", (room, data) => takeScore(room, { ...data, reached: false }));
  page.onJoined(async (item) => {
    try {
      const [state, list] = await Promise.all([ask("monitor.state", {}, item.room), ask("score.list", {}, item.room)]);
      const room = roomOf(item.room);
      takeValues(room, state.data.values);
      room.rules = new Map(state.data.rules.map((rule) => [rule.rule_id, rule]));
      room.scores = new Map(list.data.scores.map((score) => [score.score_id, score]));
      changed(item.room);
    } catch (error) {
      page.refused(error);
    }
  });
  page.onRooms(() => changed(page.room()));

  element.append(el("p", "row bar", "", feed, legend), canvas, rules, scores, empty);
  page.whileVisible(element, FRAME_MS, draw);
  draw();
}
