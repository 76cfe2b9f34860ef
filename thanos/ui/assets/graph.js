// Where the nodes of a call graph go: callers before whom they call. Pure.

/// Layers of `nodes` (ids) by `edges` (`{ from, to }`): each node one layer after its furthest caller. An edge that
/// closes a cycle does not push.
export function layers(nodes, edges) {
  const out = new Map(nodes.map((n) => [n, []]));
  for (const { from, to } of edges) if (from !== to) out.get(from)?.push(to);
  const forward = new Map(nodes.map((n) => [n, []]));
  const state = new Map();
  const order = [];
  const visit = (n) => {
    state.set(n, "open");
    for (const to of out.get(n)) {
      if (state.get(to) === "open") continue;
      forward.get(n).push(to);
      if (!state.has(to)) visit(to);
    }
    state.set(n, "done");
    order.unshift(n);
  };
  for (const n of nodes) if (!state.has(n)) visit(n);
  const layer = new Map(nodes.map((n) => [n, 0]));
  for (const n of order) for (const to of forward.get(n)) layer.set(to, Math.max(layer.get(to), layer.get(n) + 1));
  const rows = [];
  for (const n of order) (rows[layer.get(n)] ??= []).push(n);
  return barycenter(rows.filter(Boolean), edges);
}

/// The nodes in groups of which none calls into another, the largest first.
export function components(nodes, edges) {
  const group = new Map(nodes.map((n) => [n, [n]]));
  for (const { from, to } of edges) {
    const [a, b] = [group.get(from), group.get(to)];
    if (!a || !b || a === b) continue;
    a.push(...b);
    for (const n of b) group.set(n, a);
  }
  return [...new Set(group.values())].sort((a, b) => b.length - a.length);
}

/// Orders each layer by where its callers stand, so that fewer lines cross.
function barycenter(rows, edges) {
  const place = new Map();
  const settle = (row) => row.forEach((n, i) => place.set(n, i - (row.length - 1) / 2));
  rows.forEach((row, i) => {
    if (i === 0) return settle(row);
    const callers = (n) => edges.filter((e) => e.to === n && place.has(e.from)).map((e) => place.get(e.from));
    const mean = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : 0);
    const weight = new Map(row.map((n) => [n, mean(callers(n))]));
    row.sort((a, b) => weight.get(a) - weight.get(b));
    settle(row);
  });
  return rows;
}
