// The same publish as a command for a terminal.

import { token } from "./access.js";
import { $, el, setText } from "./dom.js";
import { toast } from "./notices.js";
import { draft, onDraft } from "./publish.js";

const shell = (text) => "'" + text.replaceAll("'", "'\\''") + "'";

function curl(token) {
  return `curl -X POST ${location.origin}/v1/publish \\\n  -H ${token ? shell("Authorization: Bearer " + token) : '"Authorization: Bearer $TOKEN"'} \\\n`
    + `  -H 'content-type: application/json' \\\n  -d ${shell(JSON.stringify(draft()))}`;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no clipboard without HTTPS, except on localhost
    const area = el("textarea", "hide");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return toast("Not copied", "The browser refused the clipboard.");
  }
  toast("Copied", what, true);
}

export function startTerminal() {
  onDraft(() => setText("curl", curl("")));
  $("copy-curl").onclick = () => copy(curl(token() ?? ""), "The command, with this page's token in it. Treat it like a password.");
  $("copy-token").onclick = () => token() ? copy(token(), "The token.") : toast("No token", "Connect first.");
}
