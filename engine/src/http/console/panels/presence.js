// Who is in the chosen room: faces that come and go.

import { hue } from "../colour.js";
import { button, el, setNodeText } from "../dom.js";

export const id = "presence";
export const title = "Presence";
export const about = "Everybody in the room that is chosen on the left, as people come, go and say what they do; rooms whose type has presence = true (or each, for every connection) keep it, and demo rooms do in development mode.";

const STATUSES = ["online", "away", "busy"];
/** How long somebody who has left is still seen leaving, in milliseconds. */
const LEAVING_MS = 1200;

/** The first letters of the words of a name. */
const initials = (name) => name.split(/[^\p{L}\p{N}]+/u).filter(Boolean).slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "?";

export function mount(element, page) {
  const rosters = new Map(); // room -> user id, or client id where connections are told of -> what is known of it
  const bar = el("div", "row bar"), summary = el("span", "soft small num"), faces = el("ul", "faces"), empty = el("p", "empty");
  const place = el("input");
  place.placeholder = "Where you are, like /rounds/4";
  place.setAttribute("aria-label", "Where you are");
  place.spellcheck = false;
  place.onchange = () => say({ page: place.value.trim() || "/" });
  const nodes = new Map(); // the same id -> its face
  const key = (member) => member.client_id ?? member.user_id;

  function say(what) {
    const room = page.room();
    if (room) page.command({ type: "presence.set", room, data: what }).catch(page.refused);
  }

  bar.append(el("span", "soft small", "You are"), ...STATUSES.map((status) => button(status, () => say({ status }))), place, summary);
  element.append(bar, faces, empty);

  function face(userId) {
    const node = el("li", "face"), disc = el("span", "disc", initials(userId));
    disc.style.setProperty("--hue", hue(userId));
    node.append(disc, el("b", "", userId), el("span", "soft small says"));
    return node;
  }

  function draw() {
    const roster = rosters.get(page.room());
    setNodeText(empty, roster ? "Nobody is here." : "This room's type keeps no presence; choose a demo room on the left, or set presence = true for the type.");
    setNodeText(summary, roster ? `${roster.size} here` : "");
    for (const [of, node] of nodes) {
      if (roster?.has(of) || node.classList.contains("leaving")) continue;
      node.classList.add("leaving");
      setTimeout(() => {
        if (nodes.get(of) === node && node.classList.contains("leaving")) { nodes.delete(of); node.remove(); draw(); }
      }, LEAVING_MS);
    }
    for (const [of, person] of roster ?? []) {
      let node = nodes.get(of);
      if (!node) { node = face(person.user_id); nodes.set(of, node); faces.append(node); }
      node.classList.remove("leaving");
      node.dataset.status = person.status ?? "online";
      const tabs = person.clients?.length > 1 ? `${person.clients.length} connections` : "";
      const isOwn = person.user_id === page.user()?.user_id ? "you" : "";
      setNodeText(node.querySelector(".says"), [person.status, person.page, tabs, isOwn].filter(Boolean).join(" · ") || person.role);
    }
    empty.hidden = nodes.size > 0;
  }

  page.onJoined((joined) => {
    // A second answer for the same connection tells nothing of services.
    const presence = joined.state?.presence;
    if (presence) rosters.set(joined.room, new Map(presence.members.map((member) => [key(member), member])));
    draw();
  });
  page.on("left", (left) => { rosters.delete(left.room); draw(); });
  page.on("$presence", ({ room, data }) => {
    const roster = rosters.get(room);
    if (!roster) return;
    for (const member of [...data.joined, ...data.changed]) roster.set(key(member), member);
    for (const member of data.left) roster.delete(key(member));
    draw();
  });
  let shown = page.room();
  page.onRooms(() => {
    // Faces of another room are not those that leave.
    if (page.room() !== shown) { shown = page.room(); nodes.clear(); faces.replaceChildren(); }
    draw();
  });
  draw();
}
