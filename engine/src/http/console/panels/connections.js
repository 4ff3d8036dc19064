// Who is connected: GET /v1/connections, and DELETE of one.

import { confirmButton } from "../confirm.js";
import { el, setNodeText } from "../dom.js";
import { bytes, count, ms, span } from "../format.js";
import { REFUSED_PAUSE_MS, trouble } from "../http.js";
import { newTable } from "../table.js";

export const id = "connections";
export const title = "Connections";
export const about = "Everybody who is connected to the engine, two seconds old at most; open another tab, or connect any client, and it appears here.";

const POLL_MS = 2000, ROWS_MAX = 500;

const STATE_TAGS = { connected: "good", slow: "bad" };
const QUALITY_TAGS = { excellent: "good", good: "good", fair: "warn", poor: "bad" };

const tripOf = (row) => `${row.quality === "unknown" ? "not measured; a client asks for it with ?health=1" : "the last round trip"}
last heard of ${new Date(row.last_activity).toLocaleTimeString()}, last command ${span(row.idle_seconds)} ago`;
const sinceOf = (row) => span((Date.now() - row.connected_at_unix_ms) / 1000);
const startOf = (row) => new Date(row.connected_at_unix_ms).toLocaleString();

export function mount(element, page) {
  let rows = [], problem = "Waiting for the list.";
  const filter = el("input"), summary = el("span", "soft small num"), empty = el("p", "empty");
  filter.type = "search";
  filter.placeholder = "Filter by client, user, role or room";
  filter.setAttribute("aria-label", filter.placeholder);
  filter.spellcheck = false;
  filter.oninput = draw;

  const isOwn = (row) => row.client_id === page.user()?.client_id;
  const table = newTable([
    { title: "client id", className: "mono cut", text: (row) => row.client_id, full: (row) => row.client_id },
    { title: "user", className: "cut", text: (row) => row.user_id + (isOwn(row) ? " (this tab)" : ""), full: (row) => row.user_id },
    { title: "role", className: "cut", text: (row) => row.role, full: (row) => row.role },
    { title: "state", text: (row) => row.state, tag: (row) => STATE_TAGS[row.state] ?? "" },
    { title: "quality", text: (row) => row.quality, tag: (row) => QUALITY_TAGS[row.quality] ?? "" },
    { title: "round trip", className: "num", text: (row) => ms(row.rtt_ms), full: tripOf },
    { title: "rooms", className: "mono cut wide", text: (row) => row.rooms.join(" ") || "–", full: (row) => row.rooms.join("\n") },
    { title: "commands", className: "num", text: (row) => count(row.commands) },
    { title: "backlog", className: "num", text: (row) => bytes(row.backlog_bytes) },
    { title: "shard", className: "num", text: (row) => row.shard },
    { title: "since", className: "num", text: sinceOf, full: startOf },
    { title: "", className: "act", node: (row) => confirmButton("Disconnect", "Really disconnect", () => disconnect(row.client_id)) },
  ]);

  function matches(row) {
    const wanted = filter.value.trim().toLowerCase();
    return [row.client_id, row.user_id, row.role, ...row.rooms].some((text) => text.toLowerCase().includes(wanted));
  }

  function draw() {
    const shown = rows.filter(matches);
    table.draw(shown, (row) => row.client_id);
    const all = rows.length < ROWS_MAX ? `${rows.length} connected` : `the first ${ROWS_MAX}`;
    setNodeText(summary, shown.length === rows.length ? all : `${shown.length} of ${all}`);
    setNodeText(empty, problem || (rows.length ? "No connection has this in its client id, user, role or rooms." : "Nobody is connected."));
    empty.hidden = shown.length > 0;
  }

  async function poll() {
    if (!page.user()) return undefined;
    let pause;
    try {
      const answer = await page.http("GET", `/v1/connections?limit=${ROWS_MAX}`);
      // The eldest first: a new one is added at the end and moves nothing.
      rows = answer.connections.sort((a, b) => a.connected_at_unix_ms - b.connected_at_unix_ms);
      problem = "";
    } catch (error) {
      rows = [];
      problem = trouble(error, "connections");
      pause = error.status && REFUSED_PAUSE_MS;
    }
    draw();
    return pause;
  }

  async function disconnect(client_id) {
    try {
      await page.http("DELETE", "/v1/connections/" + encodeURIComponent(client_id));
      page.notice("Disconnected", client_id);
    } catch (error) {
      page.refused(error);
    }
    await poll();
  }

  element.append(el("div", "row bar", "", filter, summary), table.element, empty);
  draw();
  page.whileVisible(element, POLL_MS, poll);
}
