// Work that is only worth its time while somebody looks.

const SHOWN = "fanfare-shown";

const isSeen = (element) => !document.hidden && element.getClientRects().length > 0;

/** Says that `element` can be seen now. */
export const tellShown = (element) => element.dispatchEvent(new Event(SHOWN));

/**
 * Calls `work()` at once and again `pauseMs` after it is done, as long as `element` can be seen; at once when that is
 * told. `work` may be async and may give another pause (ms); what it throws is reported and ends nothing. Gives the
 * way to end it.
 */
export function whileVisible(element, pauseMs, work) {
  let timer = 0, busy = false, ended = false;
  async function turn() {
    let pause;
    if (busy || ended) return;
    clearTimeout(timer);
    busy = true;
    try {
      if (isSeen(element)) pause = await work();
    } catch (error) {
      reportError(error);
    } finally {
      busy = false;
    }
    if (!ended) timer = setTimeout(turn, pause ?? pauseMs);
  }
  element.addEventListener(SHOWN, turn);
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    ended = true;
    clearTimeout(timer);
    element.removeEventListener(SHOWN, turn);
    document.removeEventListener("visibilitychange", turn);
  };
}
