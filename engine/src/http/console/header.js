// The top: who this is, whether it is connected, and the form for a token where the engine gives none.

import { useToken } from "./access.js";
import { AUTHENTICATION_FAILED } from "./codes.js";
import { onRoundTrip } from "./clocks.js";
import { connect, disconnect, isOpen, on, onLost, onPhase, openSince, phase } from "./connection.js";
import { $, setText } from "./dom.js";
import { ms, span } from "./format.js";

const isTrying = () => phase() === "open" || phase() === "connecting";

function drawPhase(phase, text) {
  $("pill").dataset.phase = phase;
  setText("state", text);
  $("facts").hidden = phase !== "open";
  $("toggle").textContent = isTrying() ? "Disconnect" : phase === "waiting" ? "Connect now" : "Connect";
  if (phase === "locked") $("token-card").hidden = false;
}

/** What changes with time. */
export function drawHeader(now) {
  if (isOpen()) setText("fact-since", span((now - openSince()) / 1000));
}

export function startHeader() {
  onPhase(drawPhase);
  onLost((code) => { if (phase() === "closed") $("token-card").hidden = code !== AUTHENTICATION_FAILED; });
  on("welcome", (item) => {
    $("token-card").hidden = true;
    for (const [id, value] of [["user", item.user_id], ["role", item.role], ["client", item.client_id]]) {
      setText("fact-" + id, String(value ?? "–"));
      $("fact-" + id).title = String(value ?? "");
    }
  });
  onRoundTrip((trip) => setText("fact-rtt", ms(trip)));
  $("toggle").onclick = () => { if (isTrying()) disconnect(); else connect(true); };
  $("token-form").onsubmit = (submit) => {
    submit.preventDefault();
    useToken($("token").value.trim());
    $("token").value = "";
    disconnect();
    connect();
  };
  addEventListener("online", () => { if (phase() === "waiting") connect(); });
}
