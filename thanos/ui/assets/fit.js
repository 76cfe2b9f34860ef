// How long a time to show where the reader chose none: as long as there are data, so that what is young fills the page.

import { now, range } from "./api.js";

const MOST = 900;
const LEAST = 30;
const STEP = 5;
const AGAIN_MS = 60000;
/// What this dashboard reads first; one of them is in every world.
const NAMES = "up|request_total|gauntlet_autoscaler_desired_replicas";

let known = { first: null, asked: 0 };

/// Seconds to show at `at` of data that begin at `first`; null where there are none.
export function span(first, at) {
  if (first === null) return MOST;
  return Math.min(MOST, Math.max(LEAST, Math.ceil((at - first) / 10) * 10));
}

/// The first moment of a matrix with any value, or null.
export function beginning(result) {
  const firsts = result.map(({ values = [] }) => values[0]?.[0]).filter((t) => t !== undefined);
  return firsts.length ? Math.min(...firsts) : null;
}

/// Seconds that there are data of, up to a bound.
export async function fit(signal) {
  const at = now();
  // Where they begin changes with the stores alone; that there are none may change at any time.
  if (known.first === null || Date.now() - known.asked > AGAIN_MS) {
    const end = Math.floor(at / STEP) * STEP;
    try {
      const { data } = await range(`count({__name__=~"${NAMES}"})`, { start: end - MOST, end, step: STEP }, signal);
      known = { first: beginning(data.result), asked: Date.now() };
    } catch (error) {
      if (signal?.aborted) throw error;
      // Why there is no answer, the view's own questions say.
    }
  }
  return span(known.first, at);
}
