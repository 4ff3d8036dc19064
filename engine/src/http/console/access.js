// The token: from the engine in development mode, or as pasted. It is never put into a URL.

const EARLY_MS = 30000; // a new one is fetched so long before the old one ends

const access = { token: null, development: false, expiresAt: Infinity };

/** The present token, or null. */
export const token = () => access.token;

/** A token that was pasted; the engine judges its age. */
export function useToken(text) {
  Object.assign(access, { token: text, development: false, expiresAt: Infinity });
}

/** The engine refused it: one of development mode is fetched anew. */
export function tokenRefused() {
  if (access.development) access.token = null;
}

/** Whether there is a token now. Throws when the engine does not answer. */
export async function obtainToken() {
  if (access.token && (!access.development || Date.now() < access.expiresAt - EARLY_MS)) return true;
  const response = await fetch("/dev/token", { cache: "no-store" });
  if (response.status === 404) return false;
  if (!response.ok) throw new Error(`GET /dev/token: HTTP ${response.status}`);
  const { token, expires_in: seconds } = await response.json();
  Object.assign(access, { token, development: true, expiresAt: Date.now() + (seconds ?? 3600) * 1000 });
  return true;
}
