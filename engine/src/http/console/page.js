// What a panel may use of the page: the `page` of `mount(element, page)`. The whole contract is in panels/index.js.

import { command, on, onEvery, user } from "./connection.js";
import { http } from "./http.js";
import { refused, toast } from "./notices.js";
import { chosenRoom, join, leave, onRooms, roomNames } from "./rooms.js";
import { whileVisible } from "./visible.js";

export const page = Object.freeze({
  command, on, onEvery, http, join, leave, user, refused, whileVisible,
  onJoined: (callback) => on("joined", callback),
  room: chosenRoom,
  rooms: roomNames,
  onRooms,
  notice: (title, text) => toast(title, text, true),
});
