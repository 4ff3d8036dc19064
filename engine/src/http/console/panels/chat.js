// A conversation in the chosen room: POST /v1/rooms/{room}/chat/messages and the rest of docs/services/chat.md.

import { button, el, setNodeText } from "../dom.js";

export const id = "chat";
export const title = "Chat";
export const about = "The conversation of the room that is chosen on the left, with edits, reactions, who types and who has read how far; open this page in a second tab and talk to yourself.";

const SHOWN_MAX = 200, TYPING_EVERY_MS = 2000, READ_AFTER_MS = 300, REFRESH_MS = 200;
const EMOJIS = ["👍", "❤️", "😂", "🎉"];

const newTalk = () => ({ said: new Map(), reads: new Map(), reactions: new Map(), typing: new Set(), epoch: "" });

export function mount(element, page) {
  const talks = new Map(); // room -> what is known of its conversation
  const list = el("ol", "talk"), empty = el("p", "empty"), typing = el("p", "soft small typing");
  const form = el("form", "row"), input = el("input"), send = button("Send", null, "main"), cancel = button("Cancel", () => begin(null));
  const note = el("p", "soft small");
  let mode = null; // { edit: offset } or { reply: offset }
  let typedAt = 0, readTimer = 0, drawTimer = 0, shown = "";
  input.placeholder = "Say something";
  input.setAttribute("aria-label", input.placeholder);
  input.maxLength = 4000;
  send.type = "submit";
  form.append(input, send, cancel);

  const talkOf = (room) => {
    if (!talks.has(room)) talks.set(room, newTalk());
    return talks.get(room);
  };
  const me = () => page.user()?.user_id;
  const ask = (type, data, room = page.room()) => page.command({ type, room, data });

  function take(item) {
    const talk = talkOf(item.room), { data } = item;
    if (talk.epoch && talk.epoch !== item.epoch) Object.assign(talk, newTalk());
    talk.epoch = item.epoch;
    talk.said.set(item.offset, { ...data, offset: item.offset, user: item.user_id ?? "a backend", at: item.timestamp });
    talk.typing.delete(item.user_id);
    if (talk.said.size > SHOWN_MAX) talk.said.delete(Math.min(...talk.said.keys()));
  }

  function takeState(room, state) {
    const talk = talkOf(room);
    talk.reads = new Map(state.reads.map((read) => [read.user_id, read.offset]));
    talk.typing = new Set(state.typing);
    talk.reactions = new Map(state.reactions.map((of) => [of.offset, of.reactions]));
  }

  async function load(room) {
    if (!room || !page.user()) return;
    const [history, state] = await Promise.all([
      page.command({ type: "history", room, limit: SHOWN_MAX, reverse: true }), ask("chat.state", {}, room),
    ]);
    talks.set(room, newTalk());
    for (const item of history.messages) if (item.type === "$chat_message") take(item);
    takeState(room, state.data);
    later();
  }

  /** What is typed next is a new message, or changes or answers one. */
  function begin(next) {
    mode = next;
    cancel.hidden = !mode;
    const of = mode && talkOf(page.room()).said.get(mode.edit ?? mode.reply);
    setNodeText(note, !mode ? "" : mode.edit ? "Changing what you said." : `Answering ${of?.user}: ${of?.text}`);
    if (mode?.edit) input.value = of?.text ?? "";
    if (mode) input.focus();
  }

  form.onsubmit = (submit) => {
    submit.preventDefault();
    const text = input.value.trim();
    if (!text) return;
    const asked = mode?.edit ? ask("chat.edit", { offset: mode.edit, text })
      : ask("chat.send", mode?.reply ? { text, reply_to: mode.reply } : { text });
    asked.then(() => { input.value = ""; begin(null); type(false); }).catch(page.refused);
  };

  function type(on) {
    if (on && performance.now() - typedAt < TYPING_EVERY_MS) return;
    if (!on && !typedAt) return;
    typedAt = on ? performance.now() : 0;
    ask("chat.typing", { typing: on }).catch(page.refused);
  }
  input.oninput = () => type(input.value !== "");

  function newReactions(talk, of) {
    const counts = talk.reactions.get(of.offset) ?? [];
    const given = counts.map(({ emoji, count, mine }) => {
      const chip = button(`${emoji} ${count}`, () => react(of.offset, emoji, mine), "tiny");
      chip.setAttribute("aria-pressed", String(Boolean(mine)));
      return chip;
    });
    const more = EMOJIS.filter((emoji) => !counts.some((of) => of.emoji === emoji));
    return el("span", "given", "", ...given, ...more.map((emoji) => {
      const chip = button(emoji, () => react(of.offset, emoji, false), "tiny more");
      chip.title = "React with " + emoji;
      return chip;
    }));
  }

  function react(offset, emoji, remove) {
    ask("chat.react", { offset, emoji, remove: Boolean(remove) }).then(({ data }) => {
      const talk = talkOf(page.room()), known = talk.reactions.get(offset) ?? [];
      const mine = (of) => of.emoji === emoji ? !remove : Boolean(known.find((one) => one.emoji === of.emoji)?.mine);
      talk.reactions.set(offset, data.reactions.map((of) => ({ ...of, mine: mine(of) })));
      later();
    }).catch(page.refused);
  }

  function newLine(talk, of, readers) {
    const line = el("li", of.user === me() ? "mine" : ""), time = el("span", "soft small num", new Date(of.at).toLocaleTimeString());
    line.append(el("p", "row", "", el("b", "", of.user), time, ...(of.edited_at ? [el("span", "soft small", "edited")] : [])));
    const answered = of.reply_to && talk.said.get(of.reply_to);
    if (of.reply_to) line.append(el("p", "soft small cut", `answers ${answered ? answered.user + ": " + (answered.text ?? "taken back") : "#" + of.reply_to}`));
    line.append(of.deleted ? el("p", "soft", "This was taken back.") : el("p", "words", of.text));
    if (!of.deleted) {
      const acts = [button("Reply", () => begin({ reply: of.offset }), "tiny more")];
      if (of.user === me()) acts.push(button("Edit", () => begin({ edit: of.offset }), "tiny more"));
      acts.push(button("Delete", () => ask("chat.delete", { offset: of.offset }).catch(page.refused), "tiny more"));
      line.append(el("p", "row", "", newReactions(talk, of), ...acts));
    }
    if (readers?.length) line.append(el("p", "soft small", "read by " + readers.join(", ")));
    return line;
  }

  function draw() {
    drawTimer = 0;
    const talk = talkOf(page.room()), said = [...talk.said.values()].sort((a, b) => a.offset - b.offset);
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    // Everybody's name stands below the last message that it has read.
    const readers = new Map();
    for (const [user, mark] of talk.reads) {
      const last = said.findLast((of) => of.offset <= mark);
      if (last && user !== me()) readers.set(last.offset, [...readers.get(last.offset) ?? [], user]);
    }
    list.replaceChildren(...said.map((of) => newLine(talk, of, readers.get(of.offset))));
    list.hidden = !said.length;
    empty.hidden = said.length > 0;
    setNodeText(empty, page.user() ? "Nobody has said anything here yet." : "There is no connection.");
    const who = [...talk.typing].filter((user) => user !== me());
    setNodeText(typing, who.length ? `${who.slice(0, 3).join(", ")}${who.length > 3 ? " and others" : ""} ${who.length > 1 ? "type" : "types"}…` : "");
    if (atEnd) list.scrollTop = list.scrollHeight;
    markRead();
  }

  const later = () => { drawTimer ||= setTimeout(draw, REFRESH_MS / 4); };

  /** What can be seen is read. */
  function markRead() {
    const room = page.room(), talk = talkOf(room), last = Math.max(0, ...talk.said.keys());
    if (!page.user() || document.hidden || !element.getClientRects().length || last <= (talk.reads.get(me()) ?? 0)) return;
    clearTimeout(readTimer);
    readTimer = setTimeout(() => ask("chat.read", { offset: last, epoch: talk.epoch }, room)
      .then(({ data }) => talk.reads.set(me(), data.offset)).catch(() => {}), READ_AFTER_MS);
  }

  const changes = (type, change) => page.on(type, (item) => {
    if (typeof item.data !== "object" || item.data === null) return;
    change(talkOf(item.room), item.data, item);
    later();
  });
  changes("$chat_message", (talk, data, item) => take(item));
  changes("$chat_edited", (talk, data) => {
    const of = talk.said.get(data.offset);
    if (of && data.text) Object.assign(of, { text: data.text, edited_at: data.edited_at });
  });
  changes("$chat_deleted", (talk, data) => {
    const of = talk.said.get(data.offset);
    if (of) Object.assign(of, { text: undefined, deleted: true });
    talk.reactions.delete(data.offset);
  });
  changes("$typing", (talk, { user_id, typing }) => { if (typing) talk.typing.add(user_id); else talk.typing.delete(user_id); });
  changes("$read", (talk, { user_id, offset }) => talk.reads.set(user_id, offset));
  changes("$reactions", (talk, { offset, reactions }) => {
    const known = talk.reactions.get(offset) ?? [];
    talk.reactions.set(offset, reactions.map((of) => ({ ...of, mine: known.find((one) => one.emoji === of.emoji)?.mine })));
  });
  page.onJoined((item) => load(item.room).catch(page.refused));
  page.onRooms(() => {
    if (shown === page.room()) return;
    shown = page.room();
    begin(null);
    later();
  });
  // Marks of what came while nobody looked are set as soon as somebody does.
  page.whileVisible(element, REFRESH_MS * 5, () => markRead());

  element.append(list, empty, typing, note, form);
  begin(null);
  draw();
}
