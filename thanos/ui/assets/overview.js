// What users feel, by service and cluster: the golden metrics of the proxies' inbound side.

import { all, columns, instant, last, parse, quote, range, stores } from "./api.js";
import { spark } from "./chart.js";
import { empty, h } from "./dom.js";
import { millis, number, percent } from "./format.js";

export const title = "Overview";

const BY = "by (cluster, namespace, deployment)";
const IN = 'direction="inbound"';

/// PromQL by column; `sel` narrows, so that a cell can link to the query behind it.
export function queries(window, sel = IN) {
  const total = `sum ${BY} (rate(response_total{${sel}}[${window}]))`;
  const failed = `sum ${BY} (rate(response_total{${sel}, classification="failure"}[${window}]))`;
  const quantile = (q) =>
    `histogram_quantile(${q}, sum ${BY.replace(")", ", le)")} (rate(response_latency_ms_bucket{${sel}}[${window}])))`;
  return {
    rate: `sum ${BY} (rate(request_total{${sel}}[${window}]))`,
    success: `1 - (${failed} or 0 * ${total}) / ${total}`,
    p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99),
    inflight: `sum ${BY} (rate(request_in_flight_seconds_total{${sel}}[${window}]))`,
  };
}

export async function load(at, signal) {
  const named = Object.entries(queries(at.window)).map(([name, q]) => [name, range(q, at, signal)]);
  const pods = `count by (cluster, namespace, deployment) (max by (cluster, namespace, deployment, pod) (up{deployment!=""}) == 1)`;
  const [model, known] = await Promise.all([
    all({ ...Object.fromEntries(named), pods: instant(pods, at.end, signal) }),
    stores(signal),
  ]);
  const services = new Map();
  for (const name of named.map(([n]) => n)) {
    for (const { metric, points } of columns(model[name], at)) {
      const id = JSON.stringify([metric.cluster ?? "", metric.namespace ?? "", metric.deployment ?? ""]);
      const service = services.get(id) ?? services.set(id, { id, ...metric }).get(id);
      service[name] = points;
    }
  }
  for (const { metric, value } of model.pods) {
    const service = services.get(JSON.stringify([metric.cluster ?? "", metric.namespace ?? "", metric.deployment ?? ""]));
    if (service) service.pods = parse(value[1]);
  }
  const flat = Object.values(known.data).flat();
  return {
    warnings: model.warnings,
    services: [...services.values()].sort((a, b) => a.id.localeCompare(b.id)),
    stores: { all: flat.length, silent: flat.filter((s) => s.lastError).length },
    dark: dark(flat),
  };
}

/// Clusters of which no store answers: what is not shown of them is unknown, not absent.
function dark(stores) {
  const clusters = (list) => new Set(list.flatMap((s) => s.labelSets.map((set) => set.cluster)).filter(Boolean));
  const answering = clusters(stores.filter((s) => !s.lastError));
  return [...clusters(stores.filter((s) => s.lastError))].filter((c) => !answering.has(c)).sort();
}

/// 99.9% and 99% are where people start to look and start to run.
function grade(success) {
  if (Number.isNaN(success)) return ["idle", "idle"];
  if (success >= 0.999) return ["good", "healthy"];
  return success >= 0.99 ? ["fair", "some fail"] : ["bad", "failing"];
}

export function render(model, at) {
  if (!model.services.length) {
    return [empty(model.warnings.length ? "No answer holds a service" : "No service has sent metrics yet",
      "This view reads request_total, response_total and response_latency_ms_bucket of the proxies, with direction=\"inbound\" and the labels cluster, namespace and deployment.",
      "Check that a scraper discovers the proxies and that its samples reach a store that this querier asks.",
      h("p", {}, h("a", { href: "#/stores" }, "Stores and their state"), " · ", h("a", { href: "#/query?expr=up" }, "What is up?")))];
  }
  const clusters = [...new Set(model.services.map((s) => s.cluster ?? ""))];
  return [
    h("section", { class: "tiles", "aria-label": "Clusters" }, clusters.map((c) => tile(c, model.services.filter((s) => (s.cluster ?? "") === c))),
      model.dark.filter((c) => !clusters.includes(c)).map((c) => h("div", { class: "tile", "data-key": c }, h("h2", {}, c),
        h("p", { class: "big" }, "unknown"), h("p", {}, badge("bad", "no store of it answers")))),
      h("a", { class: "tile", href: "#/stores", "data-key": "stores" }, h("h2", {}, "Stores"),
        h("p", { class: "big" }, `${model.stores.all - model.stores.silent}`, h("small", {}, ` of ${model.stores.all} answer`)),
        h("p", {}, badge(model.stores.silent ? "bad" : "good", model.stores.silent ? `${model.stores.silent} silent` : "all answer")))),
    h("section", { class: "panel", "aria-label": "Services" },
      h("div", { class: "wide" }, h("table", { class: "cards", role: "table" },
        h("caption", {}, `Services, as their own proxies saw them; rates over ${at.window}`),
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
          ["Service", "Requests / s", "Success", "Latency p50 · p95 · p99", "In flight", "Pods"].map((t) => h("th", { scope: "col", role: "columnheader" }, t)))),
        h("tbody", { role: "rowgroup" }, model.services.map((service) => row(service, at)))))),
  ];
}

export function badge(kind, text) {
  return h("span", { class: `badge ${kind}` }, text);
}

function tile(cluster, services) {
  const sum = (name) => services.reduce((total, s) => total + (last(s[name]) || 0), 0);
  const worst = services.map((s) => last(s.success)).filter((v) => !Number.isNaN(v));
  const slow = services.map((s) => last(s.p99)).filter((v) => !Number.isNaN(v));
  const success = worst.length ? Math.min(...worst) : NaN;
  const [kind, word] = grade(success);
  return h("div", { class: "tile", "data-key": cluster },
    h("h2", {}, cluster || "no cluster label"),
    h("p", { class: "big" }, number(sum("rate")), h("small", {}, " requests / s, all services")),
    h("p", {}, badge(kind, word), ` ${percent(success)} ok · p99 ${millis(slow.length ? Math.max(...slow) : NaN)} · ${number(sum("inflight"))} in flight`));
}

function row(service, at) {
  const sel = `${IN}, cluster=${quote(service.cluster ?? "")}, namespace=${quote(service.namespace ?? "")}, deployment=${quote(service.deployment ?? "")}`;
  const behind = queries(at.window, sel);
  const [kind, word] = grade(last(service.success));
  const cell = (head, name, shown, low) => h("td", { role: "cell", "data-head": head },
    h("a", { class: "cell", href: link(behind[name]), title: `Query: ${head}` }, h("span", { class: "num" }, shown), spark(service[name] ?? [], low)));
  return h("tr", { role: "row", "data-key": service.id },
    h("th", { scope: "row", role: "rowheader" }, service.deployment || "no deployment label",
      h("small", {}, `${service.cluster ?? ""} / ${service.namespace ?? ""}`)),
    cell("Requests / s", "rate", number(last(service.rate))),
    h("td", { role: "cell", "data-head": "Success" }, h("a", { class: "cell", href: link(behind.success), title: "Query: Success" },
      h("span", { class: "num" }, percent(last(service.success)), " ", badge(kind, word)), spark(service.success ?? [], null))),
    cell("p50 · p95 · p99", "p99", ["p50", "p95", "p99"].map((q) => millis(last(service[q]))).join(" · ")),
    cell("In flight", "inflight", number(last(service.inflight))),
    h("td", { role: "cell", "data-head": "Pods" }, h("span", { class: "num" }, service.pods === undefined ? "–" : String(service.pods))));
}

export function link(expr) {
  return `#/query?${new URLSearchParams({ expr, tab: "graph" })}`;
}
