// Long work and how far it is: operations that this page follows, by their rooms.

import { button, el, setNodeText } from "../dom.js";
import { bytes, count, isNumber, rate, span } from "../format.js";

export const id = "operations";
export const title = "Operations";
export const about = "Long work whose progress is told as it happens: follow one by its id, or try one. Any backend starts one with POST /v1/operations.";

const ROOM = "operation:";
/** Cards at most: the eldest that is over makes room. */
const CARDS_MAX = 24;
const OVER = ["completed", "failed", "cancelled"];
const TAGS = { completed: "good", failed: "bad", cancelled: "warn", paused: "warn" };
const DEMO_STEPS = ["Read the files", "Check them", "Convert", "Write the report"];
const DEMO_TICK_MS = 120;

const amount = (value, unit) => unit === "bytes" ? bytes(value) : count(value) + (unit && unit !== "items" ? " " + unit : "");
const speed = (value, unit) => unit === "bytes" ? bytes(Math.round(value)) + "/s" : `${rate(value)} ${unit === "percent" ? "%" : unit}/s`;

/** One operation as a card that is changed in place. */
function newCard(forget) {
  const element = el("article", "operation"), fill = el("i"), bar = el("div", "progress", "", fill);
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "100");
  const name = el("strong"), kind = el("span", "tag"), status = el("span", "tag"), percent = el("span", "num percent");
  const line = el("p", "small soft num"), now = el("p", "small");
  const problem = el("p", "small problem"), warning = el("p", "small warning");
  const steps = el("ol", "small"), summary = el("summary", "small soft"), fold = el("details", "", "", summary, steps);
  const close = button("×", forget, "tiny");
  close.title = "Follow it no more";
  close.setAttribute("aria-label", close.title);
  element.append(
    el("div", "line", "", name, kind, status, close), el("div", "line", "", bar, percent), line, now, problem, warning, fold,
  );

  function drawSteps(list) {
    fold.hidden = list.length === 0;
    setNodeText(summary, `Steps: ${list.filter((step) => ["completed", "skipped"].includes(step.status)).length} of ${list.length}`);
    list.forEach((step, i) => {
      const row = steps.children[i] ?? steps.appendChild(el("li", "", "", el("span"), el("span", "num soft")));
      row.dataset.status = step.status;
      setNodeText(row.children[0], step.name);
      setNodeText(row.children[1], step.status === "running" ? Math.floor(step.progress_percentage) + " %" : step.status);
    });
    while (steps.children.length > list.length) steps.lastChild.remove();
  }

  function draw(operation, step_list) {
    const o = operation, part = Math.floor(o.progress_percentage * 10) / 10;
    element.dataset.status = o.status;
    setNodeText(name, o.title ?? o.operation_id);
    name.title = o.operation_id;
    setNodeText(kind, o.kind);
    setNodeText(status, o.status);
    status.className = "tag " + (TAGS[o.status] ?? "");
    setNodeText(percent, part + " %");
    fill.style.width = o.progress_percentage + "%";
    bar.setAttribute("aria-valuenow", String(part));
    bar.setAttribute("aria-label", o.title ?? o.operation_id);
    const facts = [];
    if (isNumber(o.done)) facts.push(amount(o.done, o.unit) + (isNumber(o.total) ? " of " + amount(o.total, o.unit) : ""));
    if (isNumber(o.rate_per_second)) facts.push(speed(o.rate_per_second, o.unit));
    if (isNumber(o.estimated_seconds_remaining)) facts.push(span(o.estimated_seconds_remaining) + " left");
    facts.push(span(o.elapsed_seconds) + (OVER.includes(o.status) ? " in all" : " so far"));
    setNodeText(line, facts.join(" · "));
    const doing = OVER.includes(o.status) ? "" : [o.current_step, o.message].filter(Boolean).join(" – ");
    setNodeText(now, doing);
    now.hidden = doing === "";
    const more = (total) => total > 1 ? ` (${total} in all)` : "";
    const error = o.errors.length ? o.errors.at(-1) + more(o.errors_total) : "";
    const wrong = [o.error && `${o.error.code}: ${o.error.message}`, error].filter(Boolean).join(" · ");
    setNodeText(problem, wrong);
    problem.hidden = wrong === "";
    const odd = o.reason ?? (o.warnings.length ? o.warnings.at(-1) + more(o.warnings_total) : "");
    setNodeText(warning, odd);
    warning.hidden = odd === "";
    drawSteps(step_list);
  }

  return { element, draw };
}

export function mount(element, page) {
  const followed = new Map(); // operation id -> { card, state, steps, offset }
  const field = el("input"), list = el("div", "operations"), empty = el("p", "empty", "No operation is followed yet.");
  field.placeholder = "operation id, like job-7";
  field.setAttribute("aria-label", "The id of the operation to follow");
  field.spellcheck = false;
  const form = el("form", "row bar", "", field, el("button", "", "Follow"), button("Try it", () => demo(false)), button("Try one that fails", () => demo(true)));
  form.onsubmit = (event) => { event.preventDefault(); if (field.value.trim()) follow(field.value.trim()); field.value = ""; };
  element.append(form, list, empty);

  function follow(operation_id) {
    know(operation_id);
    page.join(ROOM + operation_id);
    drawEmpty();
  }

  function know(operation_id) {
    if (followed.has(operation_id)) return;
    makeRoom();
    followed.set(operation_id, { card: null, state: null, steps: [], offset: 0 });
  }

  function forget(operation_id) {
    followed.get(operation_id)?.card?.element.remove();
    followed.delete(operation_id);
    page.leave(ROOM + operation_id);
    drawEmpty();
  }

  function makeRoom() {
    if (followed.size < CARDS_MAX) return;
    const over = [...followed].find(([, of]) => !of.state || OVER.includes(of.state.status));
    forget((over ?? [...followed][0])[0]);
  }

  function drawEmpty() {
    const waiting = [...followed].filter(([, of]) => !of.state).map(([operation_id]) => operation_id);
    setNodeText(empty, waiting.length ? `Waiting for ${waiting.join(", ")} to start.` : "No operation is followed yet.");
    empty.hidden = followed.size > 0 && waiting.length === 0;
  }

  function take(operation_id, state) {
    const of = followed.get(operation_id);
    if (!of || typeof state?.progress_percentage !== "number") return;
    if (state.steps) of.steps = state.steps;
    if (state.step) of.steps[state.step.step_index] = state.step;
    of.state = state;
    if (!of.card) {
      of.card = newCard(() => forget(operation_id));
      list.prepend(of.card.element);
    }
    of.card.draw(state, of.steps.filter(Boolean));
    drawEmpty();
  }

  const idOf = (item) => typeof item.room === "string" && item.room.startsWith(ROOM) ? item.room.slice(ROOM.length) : null;
  page.onJoined((joined) => {
    if (idOf(joined) === null) return;
    // The page may have joined it in another way: by its address, or on the left.
    know(idOf(joined));
    drawEmpty();
    if (!joined.state?.operation) return;
    const of = followed.get(idOf(joined));
    of.offset = joined.offset;
    take(idOf(joined), joined.state.operation);
  });
  page.onEvery((item) => {
    const of = followed.get(idOf(item));
    // The state is newer than what the room kept from before it.
    if (!of || item.type === "joined" || item.offset <= of.offset) return;
    if (item.type === "operation_removed") forget(idOf(item));
    else take(idOf(item), item.data);
  });

  /** A small operation, done by this page as a backend would do it. */
  async function demo(fails) {
    const operation_id = "demo-" + Math.random().toString(36).slice(2, 8);
    const ask = (verb, data) => page.command({ type: "operation." + verb, data: { operation_id, ...data } });
    const rest = () => new Promise((done) => setTimeout(done, DEMO_TICK_MS));
    follow(operation_id);
    try {
      await ask("start", {
        kind: "pipeline", title: fails ? "A report that fails" : "A report", user_id: page.user()?.user_id, ttl_seconds: 600,
        steps: DEMO_STEPS.map((name, i) => ({ name, weight: i === 2 ? 3 : 1 })),
      });
      for (let i = 0; i < DEMO_STEPS.length; i++) {
        const step_id = `step-${i + 1}`, parts = i === 2 ? 30 : 12;
        await ask("update_step", { step_id, status: "running" });
        for (let part = 1; part < parts; part++) {
          await rest();
          await ask("update_step", { step_id, progress: part * 100 / parts });
          if (fails && i === 2 && part > parts / 2) {
            await ask("update_step", { step_id, status: "failed", errors: ["page 7 is torn"] });
            await ask("fail", { error: { code: "TORN_PAGE", message: "page 7 cannot be read", retryable: true } });
            return;
          }
        }
        if (i === 1) await ask("update", { warnings: ["two files are empty"] });
        await ask("update_step", { step_id, status: "completed" });
      }
      await ask("complete", { results: { pages: 12 } });
    } catch (error) {
      page.refused(error);
    }
  }
  drawEmpty();
}
