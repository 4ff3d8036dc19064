// Values as a person reads them; what is no number becomes a dash.

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => !isNumber(value) ? "–" : value < 1e4 ? String(Math.round(value)) : compact.format(value);

/** Per second. */
export const rate = (value) => !isNumber(value) ? "–" : value > 0 && value < 10 ? value.toFixed(1) : count(value);

export const ms = (value) => !isNumber(value) ? "–" : value < 10 ? value.toFixed(value < 1 ? 2 : 1) + " ms"
  : value < 1e4 ? Math.round(value) + " ms" : (value / 1e3).toFixed(1) + " s";

export const messages = (number) => number === 1 ? "1 message" : `${number} messages`;

export const bytes = (value) => !isNumber(value) ? "–" : value < 1024 ? value + " B"
  : value < 1 << 20 ? (value / 1024).toFixed(0) + " KiB" : (value / (1 << 20)).toFixed(1) + " MiB";

/** A length of time. */
export function span(seconds) {
  if (!isNumber(seconds)) return "–";
  const s = Math.floor(seconds), pad = (n) => String(n).padStart(2, "0");
  return s < 60 ? s + " s" : s < 3600 ? Math.floor(s / 60) + ":" + pad(s % 60)
    : s < 86400 ? Math.floor(s / 3600) + ":" + pad(Math.floor(s / 60) % 60) + " h" : (s / 86400).toFixed(1) + " d";
}
