// The panels of the page, in the order of their tabs. To add one: a file beside this one, a line in each list below,
// and a line in the table of engine/src/http/api/console.rs.
//
// A panel's file exports
//   id      a word of a-z and -, for the address (/?panel=<id>)
//   title   one or two words, for the tab
//   about   one calm sentence: what it shows and how to feed it; it stands above the panel, used or not
//   mount   mount(element, page): called once, before the page connects; the panel fills `element`
//
// `page` offers
//   command(object)     sends a wire command with an id; a promise of its answer. It rejects with an Error that has the
//                       `code`, `name`, `message` and `details` of the engine's `error`, or `lost: true` without a
//                       connection. Nothing is shown by itself: `.catch(page.refused)` does.
//   on(type, callback)  callback(item, asked) for each message or answer of this `type`; `asked` is `{ command, at }` if it
//                       answers a command of this page. Gives the way to end it.
//   onEvery(callback)   the same for everything that arrives
//   onJoined(callback)  callback(joined, asked) with the whole `joined` answer, after a reconnect again
//   http(method, path, body?)  a promise of the answer's JSON, asked with the page's token. It rejects with an Error that
//                       has the HTTP `status`, and `code`, `name`, `message` and `details` as above.
//   join(room)          joins now or as soon as there is a connection, and again after each pause
//   leave(room)         leaves it
//   rooms()             the names of the rooms this page is in or wants to be in
//   room()              the room that is chosen on the left
//   onRooms(callback)   callback() when any of these changed; gives the way to end it
//   user()              `{ user_id, role, client_id }`, null while there is no connection
//   whileVisible(element, pauseMs, work)  calls work() now and again after each pause, while the element can be seen, and
//                       at once when its tab is chosen or the page has connected; `work` may be async and may give
//                       another pause (ms). Gives the way to end it.
//   notice(title, text) shows good news; refused(error) shows what a promise was rejected with
//
// What is received only becomes text (../dom.js: el, button). ../table.js, ../confirm.js, ../format.js and `trouble` of
// ../http.js are for panels too; ../panels.css says which classes they share. The page's policy allows no inline script
// and no style attribute; setting `element.style` is allowed.

import * as chat from "./chat.js";
import * as connections from "./connections.js";
import * as inspector from "./inspector.js";
import * as monitors from "./monitors.js";
import * as operations from "./operations.js";
import * as notifications from "./notifications.js";
import * as polls from "./polls.js";
import * as presence from "./presence.js";

export const PANELS = [
  connections,
  inspector,
  notifications,
  presence,
  operations,
  chat,
  polls,
  monitors,
];
