// What is known of a room's stream of messages: where it stands, and whether something is missing in it.

/** `last`: the newest offset that arrived; `stand`: where the stream stood at the join. */
export const newStream = (name, hue) => ({ name, hue, joined: false, recovered: false, epoch: null, last: null, stand: null });

/**
 * Takes a message in. Tells whether its stream `began` again, whether the message was `replayed`, whether it came
 * `again`, and the offsets that are `missing` before it: [from, to], or null.
 */
export function take(stream, item) {
  const began = stream.epoch !== null && stream.epoch !== item.epoch;
  if (began) stream.last = stream.stand = null;
  const replayed = stream.stand !== null && item.offset <= stream.stand;
  const expected = stream.last !== null ? stream.last + 1 : stream.stand !== null && !replayed ? stream.stand + 1 : item.offset;
  stream.epoch = item.epoch ?? null;
  stream.last = Math.max(stream.last ?? 0, item.offset);
  const missing = item.offset > expected ? [expected, item.offset - 1] : null;
  return { began, replayed, again: item.offset < expected, missing };
}
