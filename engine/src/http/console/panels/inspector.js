// What goes wrong and what passes through, and how connections ended: docs/services/inspector.md, docs/services/health.md.

import { el, setNodeText } from "../dom.js";
import { bytes, count, span } from "../format.js";
import { REFUSED_PAUSE_MS, trouble } from "../http.js";
import { newTable } from "../table.js";

export const id = "inspector";
export const title = "Errors & traffic";
export const about = "What was refused or ended badly, the headers of the latest messages, and how connections ended, newest first; publish something, or try what is not allowed, and it appears here.";

const POLL_MS = 1000, ROWS_MAX = 200, ENDED_MAX = 50;
const OFF = "The inspector is off; switch it on with enabled = true under [inspector], or with FANFARE_INSPECTOR_ENABLED=true.";

const CALM_CODES = new Set([1000, 1001, 1012, 4010]);
const closeTag = (row) => CALM_CODES.has(row.code) ? "" : row.code === 1006 ? "warn" : "bad";

const timeOf = (time) => new Date(time).toLocaleTimeString();
const dateOf = (time) => new Date(time).toLocaleString();
const cell = (title, value, className = "cut") => ({ title, className, text: (row) => value(row) ?? "–", full: (row) => value(row) ?? "" });

const TIME = { title: "time", className: "num", text: (row) => timeOf(row.at_unix_ms), full: (row) => dateOf(row.at_unix_ms) };
const ROOM = cell("room", (row) => row.room, "mono cut"), USER = cell("user", (row) => row.user_id);

const ERROR_COLUMNS = [
  TIME,
  { title: "error", className: "full", text: (row) => row.type, full: (row) => `${row.code ?? ""} ${row.meaning ?? ""}`.trim(), tag: () => "bad" },
  ROOM, USER,
  cell("why", (row) => row.reason ?? row.meaning, "cut wide"),
];
const MESSAGE_COLUMNS = [
  TIME,
  cell("type", (row) => row.type, "mono cut"),
  ROOM, USER,
  { title: "offset", className: "num", text: (row) => "#" + row.offset, full: (row) => `epoch ${row.epoch}` },
  { title: "bytes", className: "num", text: (row) => bytes(row.bytes), full: (row) => row.data === undefined ? row.data_start ?? "" : JSON.stringify(row.data) },
  { title: "to", className: "num", text: (row) => count(row.members), full: () => "members of the room" },
];
const ENDED_COLUMNS = [
  cell("client", (row) => row.client_id, "mono cut"),
  USER,
  { title: "code", text: (row) => row.name ? `${row.code} ${row.name}` : row.code, tag: closeTag },
  cell("reason", (row) => row.reason || undefined, "cut wide"),
  { title: "when", className: "num", text: (row) => timeOf(row.ended_at), full: (row) => dateOf(row.ended_at) },
  { title: "duration", className: "num", text: (row) => span(row.duration_ms / 1000) },
];

/** A table with its title, and a sentence in place of no rows. */
function newList(title, columns, keyOf, className = "") {
  const table = newTable(columns), empty = el("p", "empty");
  const draw = (rows, sentence) => {
    table.draw(rows, keyOf);
    setNodeText(empty, sentence);
    empty.hidden = rows.length > 0;
  };
  draw([], "Waiting for the list.");
  return { element: el("div", className, "", el("h3", "", title), table.element, empty), draw };
}

/** The latest records of one kind: only those that are new are asked for. */
function newFeed(page, kind, title, columns) {
  const list = newList(title, columns, (record) => `${record.seq} ${record.at_unix_ms}`);
  let rows = [], next, filter = "";

  async function poll(wanted) {
    if (wanted !== filter) [next, filter] = [undefined, wanted];
    const since = next;
    const answer = await page.http("GET", `/v1/inspector/${kind}?limit=${ROWS_MAX}${wanted}${since === undefined ? "" : "&since=" + since}`);
    const records = answer.records.reverse();
    rows = since === undefined ? records : [...records, ...rows].slice(0, ROWS_MAX);
    // An engine that was restarted numbers anew, and may be behind; where more came than fits, the latest are wanted.
    const anew = since !== undefined && (answer.next < since || records.length === ROWS_MAX);
    next = anew ? undefined : answer.next;
    list.draw(rows, filter ? `There are no ${kind} that fit the filter.` : `There are no ${kind} so far.`);
  }

  return { element: list.element, poll };
}

export function mount(element, page) {
  const newField = (label) => {
    const field = el("input");
    field.type = "search";
    field.placeholder = label;
    field.setAttribute("aria-label", label);
    field.spellcheck = false;
    return field;
  };
  const room = newField("Room, or a pattern like chat:*"), user = newField("User");
  const errors = newFeed(page, "errors", "Errors", ERROR_COLUMNS);
  const messages = newFeed(page, "messages", "Messages", MESSAGE_COLUMNS);
  const ended = newList("Ended connections", ENDED_COLUMNS, (row) => [row.client_id, row.connected_at, row.ended_at].join(" "), "ended");
  const bar = el("div", "row bar", "", room, user), split = el("div", "split", "", errors.element, messages.element);
  const problem = el("p", "soft small", "Waiting for the lists.");

  /** What both kinds of lists may be asked for, as the end of a query. */
  const query = (fields) => Object.entries(fields).filter(([, field]) => field.value.trim())
    .map(([name, field]) => `&${name}=${encodeURIComponent(field.value.trim())}`).join("");

  async function pollFeeds() {
    try {
      const wanted = query({ room, user });
      await Promise.all([errors.poll(wanted), messages.poll(wanted)]);
      problem.hidden = true;
      split.hidden = bar.hidden = false;
      return undefined;
    } catch (error) {
      // What is wrong with a filter is said under it.
      const isFilter = error.status === 400;
      setNodeText(problem, error.status === 404 ? OFF : isFilter ? error.message : trouble(error, "errors and messages"));
      problem.hidden = false;
      split.hidden = true;
      bar.hidden = !isFilter;
      return isFilter ? undefined : error.status && REFUSED_PAUSE_MS;
    }
  }

  async function pollEnded() {
    try {
      const answer = await page.http("GET", `/v1/connections/ended?limit=${ENDED_MAX}${query({ user })}`);
      ended.draw(answer.ended, user.value.trim() ? "No connection of this user ended lately." : "No connection has ended so far.");
    } catch (error) {
      ended.draw([], trouble(error, "ended connections"));
    }
  }

  async function poll() {
    if (!page.user()) return undefined;
    const [pause] = await Promise.all([pollFeeds(), pollEnded()]);
    return pause;
  }

  split.hidden = true;
  element.append(bar, el("div", "tables", "", problem, split, ended.element));
  page.whileVisible(element, POLL_MS, poll);
}
