// What the controller decided and on what evidence, from its own metrics.

import { all, columns, instant, last, parse, quote, range } from "./api.js";
import { chart, legend } from "./chart.js";
import { changes, newest } from "./decisions.js";
import { empty, h } from "./dom.js";
import { clock, number } from "./format.js";
import { badge, link } from "./overview.js";
import { cause, evidence, limit } from "./words.js";

export const title = "Scaling";

const P = "gauntlet_autoscaler_";
// A policy's cluster is its label `cluster`, or `target_cluster` where a scraper's own label took that name.
const BY = "by (cluster, target_cluster, namespace, policy)";
/// Pod names end as ReplicaSets (hash, suffix) or StatefulSets (ordinal) make them, so that a name says the kind too.
const ENDINGS = { Deployment: "-[a-z0-9]+-[a-z0-9]{5,6}", StatefulSet: "-[0-9]+" };

export async function load(at, signal) {
  const over = (q) => range(q, at, signal);
  const now = (q) => instant(q, at.end, signal);
  const gauge = (name) => over(`max ${BY} (${P}${name})`);
  const pods = (kind) => over(`count by (cluster, namespace, workload) (max by (cluster, namespace, workload, pod)
    (label_replace(up{pod=~".+${ENDINGS[kind]}"}, "workload", "$1", "pod", "(.+)${ENDINGS[kind]}")) == 1)`);
  const model = await all({
    desired: gauge("desired_replicas"),
    current: gauge("current_replicas"),
    sufficient: over(`min ${BY} (${P}evidence_sufficient)`),
    targets: now(`${P}target_info`),
    ages: now(`max by (cluster, target_cluster, namespace, policy, metric) (${P}evidence_age_seconds)`),
    outcomes: now(`sum by (cluster, target_cluster, outcome) (increase(${P}decisions_total[${at.end - at.start}s]))`),
    missed: now(`sum(increase(${P}missed_ticks_total[${at.end - at.start}s]))`),
    latest: now(`max ${BY.replace(")", ", cause, limited_by, evidence)")} (timestamp(${P}decision_info))`),
    writes: over(`max ${BY.replace(")", ", cause, limited_by)")} (${P}scale_writes_total)`),
    Deployment: pods("Deployment"),
    StatefulSet: pods("StatefulSet"),
  });
  return { warnings: model.warnings, ...assemble(model, at) };
}

const clusterOf = (metric) => metric.target_cluster ?? metric.cluster ?? "";
const idOf = (metric) => JSON.stringify([clusterOf(metric), metric.namespace ?? "", metric.policy ?? ""]);

/// Policies stand where their targets do; a policy rarely has its target's name.
const place = (policy) => JSON.stringify([policy.cluster, policy.namespace, policy.target?.name ?? policy.name, policy.target?.kind ?? ""]);

function assemble(model, at) {
  const policies = new Map();
  for (const name of ["desired", "current", "sufficient"]) {
    for (const { metric, points } of columns(model[name], at)) {
      const id = idOf(metric);
      const policy = policies.get(id) ?? policies.set(id, {
        id, cluster: clusterOf(metric), namespace: metric.namespace ?? "", name: metric.policy ?? "", ages: [], writes: [], told: [],
      }).get(id);
      policy[name] = policy[name] ? policy[name].map(([t, v], i) => [t, Number.isNaN(v) ? points[i][1] : v]) : points;
    }
  }
  for (const { metric, value } of model.ages) {
    policies.get(idOf(metric))?.ages.push({ metric: metric.metric ?? "", seconds: parse(value[1]) });
  }
  for (const { metric } of model.targets) {
    const policy = policies.get(idOf(metric));
    if (policy) policy.target = { kind: metric.kind, name: metric.name };
  }
  for (const { metric, value } of model.latest) policies.get(idOf(metric))?.told.push({ metric, at: parse(value[1]) });
  for (const counter of columns(model.writes, at)) policies.get(idOf(counter.metric))?.writes.push(counter);
  const serving = Object.fromEntries(Object.keys(ENDINGS).map((kind) => [kind, columns(model[kind], at)]));
  for (const policy of policies.values()) {
    policy.latest = newest(policy.told);
    policy.serving = serving[policy.target?.kind]?.find(({ metric }) => metric.workload === policy.target.name
      && (metric.cluster ?? "") === policy.cluster && (metric.namespace ?? "") === policy.namespace)?.points;
  }
  return {
    policies: [...policies.values()].sort((a, b) => place(a).localeCompare(place(b)) || a.id.localeCompare(b.id)),
    outcomes: model.outcomes.map(({ metric, value }) => ({ cluster: clusterOf(metric), outcome: metric.outcome, count: parse(value[1]) })),
    missed: parse(model.missed[0]?.value[1] ?? "NaN"),
  };
}

export function render(model, at) {
  if (!model.policies.length) {
    return [empty(model.warnings.length ? "The answer is incomplete, and holds no decision" : "No decision has been recorded in this time",
      "This view reads gauntlet_autoscaler_… of the controller. Scrape port http of its pods, and keep the label cluster that its metrics carry, under that name or as target_cluster.",
      h("p", {}, h("a", { href: link(`{__name__=~"${P}.+"}`) }, "Ask for the controller's metrics")))];
  }
  const blind = model.policies.filter((p) => last(p.sufficient) === 0).length;
  const seen = model.policies.filter((p) => !Number.isNaN(last(p.sufficient))).length;
  // The rate is extrapolated to the whole time: about as many.
  const total = (outcome) => model.outcomes.filter((o) => o.outcome === outcome).reduce((n, o) => n + Math.round(o.count), 0);
  const outcomes = [...new Set(model.outcomes.map((o) => o.outcome))].sort((a, b) => total(b) - total(a));
  return [
    h("section", { class: "tiles", "aria-label": "Summary" },
      h("div", { class: "tile" }, h("h2", {}, "Evidence"),
        h("p", { class: "big" }, String(seen - blind), h("small", {}, ` of ${model.policies.length} policies may lower`)),
        h("p", {}, blind || seen < model.policies.length ? badge("fair", blind ? "held: evidence is missing" : "some are silent") : badge("good", "sufficient"))),
      h("div", { class: "tile" }, h("h2", {}, "Decisions"),
        h("p", { class: "big" }, number(total("written"), 3), h("small", {}, " written, about")),
        h("p", {}, outcomes.filter((o) => o !== "written" && total(o) > 0).map((o) => `${number(total(o), 3)} ${o}`).join(" · ") || "no other")),
      h("div", { class: "tile" }, h("h2", {}, "Ticks left out"), h("p", { class: "big" }, number(Math.round(model.missed))),
        h("p", {}, "evaluations skipped, as the one before was not done"))),
    ...model.policies.map((policy) => panel(policy, at)),
  ];
}

/// Times at which evidence did not suffice, as bands.
function bands(points = [], step) {
  const out = [];
  for (const [t, v] of points) {
    if (v !== 0) continue;
    const open = out.at(-1);
    if (open && t - open.to <= step * 1.5) open.to = t;
    else out.push({ from: t, to: t, name: "evidence insufficient: never fewer replicas" });
  }
  return out;
}

/// What one write is told as.
const why = (metric) => [cause(metric.cause), limit(metric.limited_by)].filter(Boolean).join("; ");

/// The cause of a change: its own write's, or that there is none to tell.
function causes({ by }) {
  if (!by.length) return "no write was counted with it";
  return by.length === 1 ? why(by[0]) : `several writes in this step: ${by.map(why).join(" · ")}`;
}

function panel(policy, at) {
  // Broad below narrow, so that all three are seen where they agree.
  const series = [
    ...(policy.serving ? [{ name: "pods that answer scrapes", points: policy.serving, style: "line c2 broad" }] : []),
    { name: "wanted", points: policy.desired ?? [], style: "line c0" },
    { name: "asked of the target", points: policy.current ?? [], style: "line c1 d2" },
  ];
  const sufficient = last(policy.sufficient);
  const blind = bands(policy.sufficient, at.step);
  const list = changes(policy.desired, policy.writes);
  const target = policy.target ? `${policy.target.kind} ${policy.target.name}` : "unknown target";
  const where = `cluster=${quote(policy.cluster)}, namespace=${quote(policy.namespace)}`;
  return h("section", { class: "panel policy", "data-key": policy.id, "aria-label": `${target} in ${policy.cluster}, by policy ${policy.name}` },
    h("div", { class: "head" },
      h("h2", {}, target, h("small", {}, `${policy.cluster} / ${policy.namespace} · policy ${policy.name}`)),
      sufficient === 1 ? badge("good", "evidence sufficient") : sufficient === 0 ? badge("fair", "evidence insufficient: holds") : badge("idle", "silent")),
    h("div", { class: "split" },
      h("div", {},
        chart(`chart ${policy.id}`, {
          label: `Replicas of ${target} in ${policy.cluster}`, series, start: at.start, end: at.end,
          height: document.documentElement.clientWidth < 700 ? 190 : 250, stepped: true, whole: true, bands: blind, format: (v) => number(v, 3),
        }),
        legend(series, number, h("li", {}, h("i", { class: "swatch", "aria-hidden": "true" }), "evidence insufficient"))),
      h("div", { class: "side" },
        h("h3", {}, "Last decision"), decision(policy),
        h("h3", {}, "Age of the evidence"),
        policy.ages.length ? h("ul", { class: "plain" }, policy.ages.map((a) => h("li", {}, h("span", {}, a.metric),
          h("b", {}, Number.isNaN(a.seconds) ? "unknown" : `${number(a.seconds, 2)} s`)))) : h("p", { class: "muted" }, "not reported"),
        h("h3", {}, "Last changes"),
        list.length ? h("ol", { class: "plain changes" }, list.slice(0, 6).map((c) => h("li", {},
          h("time", {}, clock(c.t, Math.min(at.end - at.start, 7000))), h("b", {}, `${number(c.from)} → ${number(c.to)}`),
          h("small", { class: "muted" }, causes(c))))) : h("p", { class: "muted" }, "none in this time"),
        h("p", { class: "small" }, h("a", { href: link(`${P}desired_replicas{policy=${quote(policy.name)}, namespace=${quote(policy.namespace)}}`) }, "Wanted, as a query"),
          " · ", h("a", { href: link(`up{${where}}`) }, "Pods")))));
}

/// The latest decision in words: what is asked for, what cut it, what the evidence is worth.
function decision({ latest, desired, current }) {
  if (!latest) return h("p", { class: "muted" }, "not reported");
  const row = (name, text) => h("div", {}, h("dt", {}, name), h("dd", {}, text));
  const [wanted, asked] = [last(desired), last(current)];
  const outcome = wanted === asked ? `holds at ${number(wanted)}` : `wants ${number(wanted)} where ${number(asked)} are asked of the target`;
  return h("dl", { class: "why" }, !Number.isNaN(wanted) && row("Outcome", outcome), row("Cause", cause(latest.cause)),
    latest.limited_by && row("Limit", limit(latest.limited_by)), row("Evidence", evidence(latest.evidence)));
}
