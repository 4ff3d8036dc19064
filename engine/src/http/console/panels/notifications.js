// Notifications: what this page's user has, and a form that sends one.

import { button, el, setNodeText } from "../dom.js";

export const id = "notifications";
export const title = "Notifications";
export const about = "What waits for the user of this page, the most important first; send one to a user, a role or everybody, and each device sees what another has read.";

const POLL_MS = 15000, LIST_MAX = 100;
const TAGS = { info: "", warning: " warn", error: " bad", critical: " bad" };
const SAMPLES = [
  ["Medication", "medication_reminder", "Time for your medication", 7, "warning", [{ id: "taken", label: "Taken" }, { id: "later", label: "In an hour" }]],
  ["Result", "lab_result", "A lab result is ready", 5, "info", [{ id: "open", label: "Open" }]],
  ["Alert", "emergency_alert", "Emergency in room 4", 9, "critical", [{ id: "come", label: "I am coming" }]],
];

function field(name, placeholder, value = "") {
  const input = el("input");
  Object.assign(input, { placeholder, value, maxLength: 128, spellcheck: false, autocomplete: "off" });
  input.setAttribute("aria-label", name);
  return input;
}

function select(name, options) {
  const node = el("select", "", "", ...options.map(([value, text]) => Object.assign(el("option", "", text), { value })));
  node.setAttribute("aria-label", name);
  return node;
}

export function mount(element, page) {
  let notes = new Map(), count = 0, stale = true;
  const badge = el("b", "num", "0"), list = el("div", "notifications"), empty = el("p", "empty", "Nothing waits for this user.");
  const unreadOnly = Object.assign(el("input"), { type: "checkbox", onchange: draw });
  const all = button("Acknowledge all", () => ask("acknowledge_all", {}), "tiny");

  const ask = async (verb, data) => {
    try {
      return await page.command({ type: "notification." + verb, data });
    } catch (error) {
      page.refused(error);
    }
    return null;
  };

  // The list of the engine is the truth: whatever is said, it is asked for again, at most a few times a second.
  let timer = 0;
  function refresh() {
    stale = true;
    timer ||= setTimeout(async () => {
      timer = 0;
      await load();
    }, 120);
  }

  async function load() {
    if (!page.user() || !stale) return;
    stale = false;
    const answer = await ask("list", { limit: LIST_MAX });
    if (!answer) return;
    notes = new Map(answer.data.notifications.map((note) => [note.notification_id, note]));
    count = answer.data.count;
    draw();
  }

  const known = new Map(); // id and state -> card

  function card(note) {
    const head = el("div", "row", "",
      el("span", "tag" + (TAGS[note.severity] ?? ""), note.severity),
      el("b", "grow", note.title),
      el("span", "soft small num", `priority ${note.priority}`));
    const from = note.from ? `from ${note.from}` : "from a backend";
    const meta = `${note.type} · ${from} · to ${note.to === "user" ? "you" : note.to === "role" ? "your role" : "everybody"} · ${new Date(note.timestamp).toLocaleTimeString()}`;
    const until = note.expires_at ? ` · until ${new Date(note.expires_at).toLocaleString()}` : "";
    const acts = el("div", "row", "", ...(note.actions ?? []).map((action) => button(action.label, () => {
      page.notice(action.label, `An application would act on “${action.id}” here.`);
      ask("acknowledge", { notification_id: note.notification_id });
    }, "tiny")));
    acts.append(el("span", "grow"));
    if (!note.acknowledged) acts.append(button("Acknowledge", () => ask("acknowledge", { notification_id: note.notification_id }), "tiny"));
    acts.append(button("Dismiss", () => ask("dismiss", { notification_id: note.notification_id }), "tiny"));
    const body = note.body ? [el("p", "", note.body)] : [];
    return el("article", `notification ${note.severity}${note.acknowledged ? " read" : ""}`, "", head, ...body, el("p", "soft small", meta + until), acts);
  }

  function draw() {
    const shown = [...notes.values()].filter((note) => !(unreadOnly.checked && note.acknowledged));
    const keys = new Set(shown.map((note) => `${note.notification_id} ${note.acknowledged}`));
    for (const [key, node] of known) {
      if (!keys.has(key)) { node.remove(); known.delete(key); }
    }
    shown.forEach((note, at) => {
      const key = `${note.notification_id} ${note.acknowledged}`;
      if (!known.has(key)) known.set(key, card(note));
      const node = known.get(key);
      if (list.children[at] !== node) list.insertBefore(node, list.children[at] ?? null);
    });
    setNodeText(badge, String(count));
    all.disabled = count === 0;
    empty.hidden = shown.length > 0;
  }

  const target = select("To", [["self", "to this user"], ["user", "to the user"], ["role", "to the role"], ["all", "to everybody"]]);
  const name = field("User or role", "user or role");
  const kind = field("Type", "type", "medication_reminder"), heading = field("Title", "title", "Time for your medication");
  const severity = select("Severity", ["info", "warning", "error", "critical"].map((word) => [word, word]));
  const priority = select("Priority", [...Array(10).keys()].map((of) => [String(of), `priority ${of}`]));
  priority.value = "5";
  let actions = SAMPLES[0][5];
  const samples = SAMPLES.map(([label, type, text, urgency, grade, offers]) => button(label, () => {
    [kind.value, heading.value, priority.value, severity.value, actions] = [type, text, String(urgency), grade, offers];
  }, "tiny"));
  target.onchange = () => { name.hidden = !["user", "role"].includes(target.value); };
  name.hidden = true;

  const form = el("form", "", "",
    el("div", "row", "", target, name, el("span", "grow"), ...samples),
    el("div", "pair", "", kind, heading),
    el("div", "row", "", severity, priority, el("span", "grow"), el("button", "", "Send")));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const to = { self: { user_id: page.user()?.user_id }, user: { user_id: name.value }, role: { role: name.value }, all: { all: true } }[target.value];
    const data = { ...to, type: kind.value, title: heading.value, severity: severity.value, priority: Number(priority.value), actions };
    const sent = await ask("send", data);
    if (sent) page.notice("Sent", sent.data.notification_id);
  };

  for (const type of ["$notification", "$notifications", "$notification_acknowledged", "$notification_dismissed", "$notification_withdrawn", "welcome"]) {
    page.on(type, refresh);
  }
  element.append(
    el("div", "row bar", "", el("span", "", "Unread: ", badge), all, el("span", "grow"), el("label", "row plain", "", unreadOnly, "unread only")),
    form, list, empty);
  draw();
  page.whileVisible(element, POLL_MS, () => { stale = true; return load(); });
}
