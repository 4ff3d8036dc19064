// Requests to the engine's HTTP API with the page's token.

import { token } from "./access.js";

/**
 * One request; `body`, if there is one, goes as JSON. Resolves with the answer's JSON (null if it has none). Rejects
 * with an Error that has the HTTP `status`, and the `code`, `name` and `details` of the engine's refusal.
 */
export async function http(method, path, body) {
  const headers = {};
  if (token()) headers.Authorization = "Bearer " + token();
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, {
    method, headers, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  let answer = null;
  try { answer = text === "" ? null : JSON.parse(text); } catch { /* a proxy's page; the status says enough */ }
  if (response.ok) return answer;
  const error = new Error(`HTTP ${response.status}`);
  if (answer && typeof answer === "object") Object.assign(error, answer);
  throw Object.assign(error, { status: response.status });
}

/** A refusal is not asked for again each second (ms). */
export const REFUSED_PAUSE_MS = 15000;

/** A sentence for why `what` could not be had, which is said with "the": "statistics". */
export function trouble(error, what) {
  if (!error.status) return "The engine does not answer.";
  if ([401, 403].includes(error.status)) return `This token may not read the ${what}; the role admin may.`;
  return `No ${what} (HTTP ${error.status}).`;
}
