// Who calls whom, as the callers' proxies count it; one drawing a cluster, and the same as a table.

import { all, instant, parse } from "./api.js";
import { empty, h, s } from "./dom.js";
import { millis, number, percent } from "./format.js";
import { components, layers } from "./graph.js";
import { badge, link } from "./overview.js";

export const title = "Topology";

const BY = "by (cluster, namespace, deployment, dst_namespace, dst_deployment, authority)";
const OUT = 'direction="outbound"';
const CLIENTS = "clients";

export async function load({ end, window }, signal) {
  const now = (q) => instant(q, end, signal);
  const model = await all({
    calls: now(`sum ${BY} (rate(request_total{${OUT}}[${window}]))`),
    total: now(`sum ${BY} (rate(response_total{${OUT}}[${window}]))`),
    failed: now(`sum ${BY} (rate(response_total{${OUT}, classification="failure"}[${window}]))`),
    p99: now(`histogram_quantile(0.99, sum ${BY.replace(")", ", le)")} (rate(response_latency_ms_bucket{${OUT}}[${window}])))`),
    arriving: now(`sum by (cluster, namespace, deployment) (rate(request_total{direction="inbound"}[${window}]))`),
  });
  return { warnings: model.warnings, clusters: assemble(model) };
}

/// The callee: the pod's workload where discovery said it, else the first part of the name that was called.
function callee(metric) {
  if (metric.dst_deployment) return { name: metric.dst_deployment, namespace: metric.dst_namespace ?? "" };
  const host = (metric.authority ?? "").replace(/:\d+$/, "");
  const [name, namespace] = /^[\d.]+$/.test(host) ? [host] : host.split(".");
  return { name: name || "unknown", namespace: namespace ?? metric.dst_namespace ?? "" };
}

function assemble(model) {
  const clusters = new Map();
  const cluster = (name) => clusters.get(name) ?? clusters.set(name, { name, nodes: new Map(), edges: new Map() }).get(name);
  const node = (c, name, namespace) => {
    const id = `${namespace}/${name}`;
    return c.nodes.get(id) ?? c.nodes.set(id, { id, name, namespace, arriving: NaN, called: 0 }).get(id);
  };
  const fields = { calls: "rate", total: "total", failed: "failed", p99: "p99" };
  for (const [from, field] of Object.entries(fields)) {
    for (const { metric, value } of model[from]) {
      const c = cluster(metric.cluster ?? "");
      const to = callee(metric);
      const a = node(c, metric.deployment ?? "unknown", metric.namespace ?? "");
      const b = node(c, to.name, to.namespace);
      const id = `${a.id} ${b.id}`;
      const edge = c.edges.get(id) ?? c.edges.set(id, { id, from: a.id, to: b.id, rate: 0, total: 0, failed: 0, p99: NaN }).get(id);
      const v = parse(value[1]);
      // Several ports of one service are one line: rates add up, of latencies the worst counts.
      if (field === "p99") edge.p99 = Number.isNaN(edge.p99) ? v : Math.max(edge.p99, v || 0);
      else edge[field] += v;
      if (field === "rate") b.called += v;
    }
  }
  for (const { metric, value } of model.arriving) {
    node(cluster(metric.cluster ?? ""), metric.deployment ?? "unknown", metric.namespace ?? "").arriving = parse(value[1]);
  }
  for (const c of clusters.values()) outside(c, node);
  return [...clusters.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/// What arrives without a meshed caller comes from clients outside.
function outside(c, node) {
  for (const n of [...c.nodes.values()]) {
    const callers = [...c.edges.values()].some((e) => e.to === n.id);
    if (callers || Number.isNaN(n.arriving)) continue;
    const from = node(c, CLIENTS, "outside the mesh");
    c.edges.set(`${from.id} ${n.id}`, { id: `${from.id} ${n.id}`, from: from.id, to: n.id, rate: n.arriving, total: 0, failed: 0, p99: NaN });
  }
}

const success = (edge) => (edge.total > 0 ? 1 - edge.failed / edge.total : NaN);
const bad = (edge) => success(edge) < 0.99;

export function render({ clusters, warnings }) {
  if (!clusters.length) {
    return [empty(warnings.length ? "The answer is incomplete, and holds no call" : "Nobody has called anybody yet",
      "This view reads request_total of the proxies, with direction=\"outbound\" and the labels deployment and dst_deployment.",
      h("p", {}, h("a", { href: link('sum by (direction, deployment) (rate(request_total[1m]))') }, "Ask for request_total")))];
  }
  return clusters.map((c) => h("section", { class: "panel", "data-key": c.name, "aria-label": `Cluster ${c.name}` },
    h("h2", {}, c.name || "no cluster label"), drawing(c), table(c)));
}

/// Each group that calls only itself stands by itself: side by side where there is room, else below each other.
function drawing(c) {
  const edges = [...c.edges.values()];
  const groups = components([...c.nodes.keys()], edges);
  return h("div", { class: "groups" }, groups.map((ids) => {
    const known = new Set(ids);
    return group(c, ids.map((id) => c.nodes.get(id)), edges.filter((e) => known.has(e.from)));
  }));
}

function group(c, nodes, edges) {
  const room = document.documentElement.clientWidth - 60;
  const narrow = room < 640;
  const tall = 46;
  const rows = layers(nodes.map((n) => n.id), edges);
  const most = Math.max(...rows.map((r) => r.length));
  // Downwards where there is no room sideways.
  const gap = narrow ? { layer: 78, next: 14 } : { layer: 130, next: 26 };
  const w = narrow ? Math.max(104, Math.min(150, (room - 4) / most - gap.next)) : 150;
  const along = narrow ? tall + gap.layer : w + gap.layer;
  const across = narrow ? w + gap.next : tall + gap.next;
  const size = { across: most * across - gap.next + 4, along: rows.length * along - gap.layer + 4 };
  const at = new Map();
  rows.forEach((row, i) => row.forEach((id, j) => {
    const side = 2 + (most - row.length) * across / 2 + j * across;
    at.set(id, narrow ? { x: side, y: 2 + i * along } : { x: 2 + i * along, y: side });
  }));
  const [width, height] = narrow ? [size.across, size.along] : [size.along, size.across];
  return h("div", { class: "wide", "data-key": nodes[0].id }, s("svg", { class: "topology", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Calls in cluster ${c.name}: ${edges.map((e) => `${e.from} to ${e.to}`).join(", ")}; the table below says the same` },
    edges.map((e) => arrow(e, at.get(e.from), at.get(e.to), { w, tall, narrow })),
    nodes.map((n) => box(n, at.get(n.id), { w, tall })),
    edges.map((e) => note(e, at.get(e.from), at.get(e.to), { w, tall, narrow }))));
}

/// From one box's edge to the other's, bent as the layers run.
function ends(from, to, { w, tall, narrow }) {
  return narrow
    ? { x1: from.x + w / 2, y1: from.y + tall, x2: to.x + w / 2, y2: to.y - 7 }
    : { x1: from.x + w, y1: from.y + tall / 2, x2: to.x - 7, y2: to.y + tall / 2 };
}

function arrow(edge, from, to, size) {
  const { x1, y1, x2, y2 } = ends(from, to, size);
  const [mx, my] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const d = size.narrow ? `M${x1} ${y1}C${x1} ${my} ${x2} ${my} ${x2} ${y2}` : `M${x1} ${y1}C${mx} ${y1} ${mx} ${y2} ${x2} ${y2}`;
  const head = size.narrow ? `M${x2 - 5} ${y2 - 3}L${x2} ${y2 + 6}L${x2 + 5} ${y2 - 3}z` : `M${x2 - 3} ${y2 - 5}L${x2 + 6} ${y2}L${x2 - 3} ${y2 + 5}z`;
  const weight = edge.rate > 0 ? Math.min(6, 1.5 + Math.log10(1 + edge.rate)) : 1;
  const kind = bad(edge) ? "call bad" : edge.rate > 0 ? "call" : "call idle";
  return s("g", { class: kind }, s("path", { d, "stroke-width": weight }), s("path", { class: "head", d: head }));
}

function note(edge, from, to, size) {
  const { x1, y1, x2, y2 } = ends(from, to, size);
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const lines = [`${number(edge.rate)} / s`, edge.p99 > 0 ? `p99 ${millis(edge.p99)}` : null, bad(edge) ? `${percent(success(edge))} ok` : null].filter(Boolean);
  // The line does not run through the words.
  const broad = Math.max(...lines.map((l) => l.length)) * 6.4 + 8;
  return s("g", {}, s("rect", { class: "under", x: x - broad / 2, y: y - lines.length * 7 - 2, width: broad, height: lines.length * 14 + 4 }),
    s("text", { class: bad(edge) ? "on bad" : "on", x, y: y - (lines.length - 1) * 7 + 4, "text-anchor": "middle" },
      lines.map((line, i) => s("tspan", { x, dy: i ? 14 : 0 }, line))));
}

function box(n, { x, y }, { w, tall }) {
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  return s("g", { class: n.name === CLIENTS ? "node clients" : "node" }, s("title", {}, `${n.namespace}/${n.name}`),
    s("rect", { x, y, width: w, height: tall, rx: 6 }),
    s("text", { class: "name", x: x + 10, y: y + 19 }, cut(n.name, Math.floor(w / 8.2))),
    s("text", { class: "space", x: x + 10, y: y + 36 }, cut(n.namespace, Math.floor(w / 7))));
}

function table(c) {
  const cell = (head, text) => h("td", { role: "cell", "data-head": head }, text);
  const edges = [...c.edges.values()].sort((a, b) => b.rate - a.rate);
  return h("details", { "data-key": "table" }, h("summary", {}, "As a table"), h("div", { class: "wide" },
    h("table", { class: "cards", role: "table" }, h("caption", {}, `Calls in ${c.name}`),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["Call", "Requests / s", "Success", "Latency p99"].map((t) => h("th", { scope: "col", role: "columnheader" }, t)))),
      h("tbody", { role: "rowgroup" }, edges.map((e) => h("tr", { role: "row", "data-key": e.id },
        h("th", { scope: "row", role: "rowheader" }, `${e.from} → ${e.to}`),
        cell("Requests / s", number(e.rate)),
        h("td", { role: "cell", "data-head": "Success" }, percent(success(e)), " ", bad(e) ? badge("bad", "failing") : ""),
        cell("Latency p99", millis(e.p99))))))));
}
