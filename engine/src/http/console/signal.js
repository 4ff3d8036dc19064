// Who wants to hear of something.

/** `add(callback)` gives the way to end it; `tell(...)` calls all, and one that throws costs the others nothing. */
export function newSignal() {
  const callbacks = new Set();
  return {
    add(callback) {
      const entry = { callback }; // the same callback may be added twice
      callbacks.add(entry);
      return () => callbacks.delete(entry);
    },
    tell(...values) {
      for (const { callback } of [...callbacks]) {
        try { callback(...values); } catch (error) { reportError(error); }
      }
    },
  };
}
