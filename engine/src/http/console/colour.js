// A room's colour.

const HUES = 9;
const hues = new Map(); // room -> 0 to HUES - 1

/** The hue in degrees: by the room's name, so that it is the same in every tab, but a free one if another room has it. */
export function hue(room) {
  if (!hues.has(room)) {
    let hash = 2166136261;
    for (const char of room) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
    const taken = new Set(hues.values());
    let slot = (hash >>> 0) % HUES;
    // While there is room, neighbours stay free too: they look alike.
    const near = (slot) => taken.size < 3 && (taken.has((slot + 1) % HUES) || taken.has((slot + HUES - 1) % HUES));
    if (taken.size < HUES) while (taken.has(slot) || near(slot)) slot = (slot + 4) % HUES;
    hues.set(room, slot);
  }
  return 40 + hues.get(room) * 360 / HUES;
}
