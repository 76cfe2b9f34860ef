// What was decided, from the controller's counters: a change has a cause only where one was written with it. Pure.

/// Steps at which one of a policy's counters rose, each with the labels of the one that did. A counter that
/// appears within the time was born with its first event.
export function rises(counters) {
  const out = [];
  for (const { metric, points } of counters) {
    let before = points[0]?.[1] ?? NaN;
    for (const [t, v] of points.slice(1)) {
      if (Number.isNaN(v)) continue;
      if (v > (Number.isNaN(before) ? 0 : before)) out.push({ t, metric });
      before = v;
    }
  }
  return out.sort((a, b) => a.t - b.t);
}

/// What the wanted number became, newest first, each with what was written in the same step: nothing where no write was
/// counted, several where the step is longer than the pause between decisions. A neighbour's cause is nobody's.
export function changes(points = [], writes = []) {
  const written = new Map();
  for (const { t, metric } of rises(writes)) written.set(t, [...(written.get(t) ?? []), metric]);
  const out = [];
  let before = NaN;
  for (const [t, v] of points) {
    if (Number.isNaN(v)) continue;
    if (!Number.isNaN(before) && v !== before) out.unshift({ t, from: before, to: v, by: written.get(t) ?? [] });
    before = v;
  }
  return out;
}

/// The newest of a policy's series of its latest decision, each with when it was last seen: a controller that is gone
/// may be remembered for a while.
export function newest(series) {
  return series.reduce((best, one) => (best === null || one.at > best.at ? one : best), null)?.metric;
}
