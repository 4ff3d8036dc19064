// Polls of the chosen room: docs/services/poll.md.

import { confirmButton } from "../confirm.js";
import { button, el, setNodeText } from "../dom.js";

export const id = "polls";
export const title = "Polls";
export const about = "Questions to everybody in the room that is chosen on the left, with votes as they come; open one here, and vote from this tab and from others.";

const votes = (count) => count === 1 ? "1 vote" : `${count} votes`;

export function mount(element, page) {
  const rooms = new Map(); // room -> poll id -> its latest tally
  const acts = new Map(); // a poll of a room -> its buttons
  const list = el("div", "polls"), empty = el("p", "empty"), form = el("form", "row bar");
  const question = el("input"), options = el("input"), open = button("Open a poll", null, "main");
  question.placeholder = "Question";
  options.placeholder = "Options, with commas between them";
  for (const input of [question, options]) input.setAttribute("aria-label", input.placeholder);
  open.type = "submit";
  form.append(question, options, open);

  const pollsOf = (room) => {
    if (!rooms.has(room)) rooms.set(room, new Map());
    return rooms.get(room);
  };
  const ask = (type, data) => page.command({ type, room: page.room(), data })
    .then(({ data }) => { if (data.options) take(page.room(), data); }).catch(page.refused);

  function take(room, tally) {
    pollsOf(room).set(tally.poll_id, tally);
    draw();
  }

  form.onsubmit = (submit) => {
    submit.preventDefault();
    const poll_id = "poll-" + Date.now().toString(36);
    const texts = options.value.split(",").map((text) => text.trim()).filter(Boolean);
    page.command({ type: "poll.open", room: page.room(), data: { poll_id, question: question.value.trim(), options: texts } })
      .then(({ data }) => { question.value = options.value = ""; take(page.room(), data); }).catch(page.refused);
  };

  function newBar(poll, { option, votes: count }) {
    const share = poll.total_votes ? count / poll.total_votes : 0, track = el("span", "track", "", el("i"));
    track.firstChild.style.setProperty("--part", share);
    const vote = button(option, () => ask("poll.vote", { poll_id: poll.poll_id, option }), "tiny");
    vote.disabled = !poll.open;
    return el("li", "bar-line", "", vote, track, el("span", "num small", `${count} (${Math.round(share * 100)} %)`));
  }

  /** A vote that comes between two clicks leaves the buttons alone. */
  function actsOf(poll) {
    const key = JSON.stringify([page.room(), poll.poll_id, poll.open]);
    if (acts.has(key)) return acts.get(key);
    const row = el("p", "row");
    if (poll.open) row.append(confirmButton("Close", "Really close", () => ask("poll.close", { poll_id: poll.poll_id })));
    row.append(confirmButton("Remove", "Really remove", () => ask("poll.remove", { poll_id: poll.poll_id })));
    acts.set(key, row);
    return row;
  }

  function newPoll(poll) {
    const head = el("p", "row", "", el("b", "", poll.question), el("span", poll.open ? "tag good" : "tag", poll.open ? "open" : "closed"),
      el("span", "soft small num", votes(poll.total_votes)));
    return el("div", "poll", "", head, el("ul", "", "", ...poll.options.map((option) => newBar(poll, option))), actsOf(poll));
  }

  function draw() {
    const polls = [...pollsOf(page.room()).values()].sort((a, b) => b.open - a.open);
    list.replaceChildren(...polls.map(newPoll));
    empty.hidden = polls.length > 0;
    setNodeText(empty, page.user() ? "This room has no poll." : "There is no connection.");
  }

  for (const type of ["$poll_opened", "$poll_tally", "$poll_closed"]) page.on(type, (item) => take(item.room, item.data));
  page.on("$poll_removed", (item) => {
    pollsOf(item.room).delete(item.data.poll_id);
    draw();
  });
  page.onJoined((item) => page.command({ type: "poll.list", room: item.room }).then(({ data }) => {
    rooms.set(item.room, new Map(data.polls.map((poll) => [poll.poll_id, poll])));
    draw();
  }).catch(page.refused));
  page.onRooms(draw);

  element.append(form, list, empty);
  draw();
}
