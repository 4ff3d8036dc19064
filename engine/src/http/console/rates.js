// Messages in and out, counted in half seconds over the last minute.

export const MINUTE_MS = 60000, BUCKET_MS = 500, BUCKETS = MINUTE_MS / BUCKET_MS + 2;

export const rates = { in: new Float64Array(BUCKETS), out: new Float64Array(BUCKETS), newest: 0 };

/** Moves the window to `now`; buckets that fell out become zero. */
export function roll(now) {
  const bucket = Math.floor(now / BUCKET_MS);
  for (let at = Math.max(rates.newest + 1, bucket - BUCKETS + 1); at <= bucket; at++) rates.in[at % BUCKETS] = rates.out[at % BUCKETS] = 0;
  rates.newest = Math.max(rates.newest, bucket);
}

/** Counts one; `direction` is "in" or "out". */
export function tally(now, direction) {
  roll(now);
  rates[direction][rates.newest % BUCKETS] += 1;
}

/** Per second, over the last two finished buckets (one second). */
export const lastSecond = (of) => rates.newest < 2 ? 0 : of[(rates.newest - 1) % BUCKETS] + of[(rates.newest - 2) % BUCKETS];
