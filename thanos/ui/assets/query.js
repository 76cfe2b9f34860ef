// PromQL by hand: completion, table and graph. What is asked is in the address.

import * as api from "./api.js";
import { chart, style } from "./chart.js";
import { AGGREGATIONS, context, FUNCTIONS, KEYWORDS, matching } from "./complete.js";
import { h, notes } from "./dom.js";
import { fit } from "./fit.js";
import { clock, duration, number, seconds, series as named } from "./format.js";

export const title = "Query";

const ROWS = 500;
const LINES = 50;
/// As long as there are data.
const AUTO = "auto";
const POINTS = 250;
let current = null;

/// Another address while the page is open: back, forward, or a link.
export function follow(params) {
  current?.read(params);
}

export function mount({ params, remember, place }) {
  const page = { remember, place, running: new AbortController() };
  page.expr = h("textarea", { id: "expr", rows: "2", spellcheck: "false", autocomplete: "off", autocapitalize: "off", role: "combobox",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "choices", "aria-describedby": "hint", placeholder: "sum by (deployment) (rate(request_total[1m]))" });
  page.choices = h("ul", { id: "choices", role: "listbox", "aria-label": "Completions", hidden: true });
  page.tabs = Object.fromEntries(["table", "graph"].map((name) => [name, h("button", { type: "button", role: "tab", id: `tab-${name}`,
    "aria-controls": "result", onclick: () => page.choose(name) }, name === "table" ? "Table" : "Graph")]));
  page.range = h("input", { id: "q-range", size: "6", value: AUTO, "aria-label": "Range" });
  page.step = h("input", { id: "q-step", size: "6", placeholder: "auto", "aria-label": "Step" });
  page.end = h("input", { id: "q-end", type: "datetime-local", step: "1", "aria-label": "End" });
  page.result = h("div", { id: "result", role: "tabpanel", tabindex: "0", "aria-live": "polite" });
  page.rangeOnly = h("span", { class: "group" },
    h("label", {}, "Range ", h("button", { type: "button", "aria-label": "Shorter range", onclick: () => scale(page, 0.5) }, "−"), page.range,
      h("button", { type: "button", "aria-label": "Longer range", onclick: () => scale(page, 2) }, "+")),
    h("label", {}, "Step ", page.step));
  page.choose = (name) => {
    select(page, name);
    submit(page);
  };
  page.read = (from) => {
    page.expr.value = from.get("expr") ?? "";
    page.range.value = from.get("range") ?? AUTO;
    page.step.value = from.get("step") ?? "";
    page.end.value = from.get("end") ?? "";
    select(page, from.get("tab") === "graph" ? "graph" : "table");
    run(page);
  };
  complete(page);
  const tablist = h("div", { class: "tabs", role: "tablist", "aria-label": "Result as", onkeydown: (e) => {
    if (e.key !== "ArrowLeft" && e.key !== "ArrowRight") return;
    const other = page.tab === "table" ? "graph" : "table";
    page.choose(other);
    page.tabs[other].focus();
  } }, Object.values(page.tabs));
  const form = h("form", { class: "panel ask", onsubmit: (e) => {
    e.preventDefault();
    submit(page);
  } },
    h("label", { class: "label", for: "expr" }, "Expression"),
    h("div", { class: "expr" }, page.expr, page.choices, h("button", { class: "primary", type: "submit" }, "Execute")),
    h("p", { id: "hint", class: "muted small" }, "Enter runs, Shift + Enter breaks the line, arrows and Tab choose a completion."),
    h("div", { class: "bar" }, tablist, page.rangeOnly,
      h("label", {}, "At ", page.end), h("button", { type: "button", onclick: () => {
        page.end.value = "";
        submit(page);
      } }, "Now")));
  current = page;
  page.read(params);
  const view = document.createDocumentFragment();
  view.append(h("h1", { "data-key": "title" }, title), form, page.result);
  return view;
}

function select(page, name) {
  page.tab = name;
  for (const [key, tab] of Object.entries(page.tabs)) {
    tab.setAttribute("aria-selected", String(key === name));
    tab.tabIndex = key === name ? 0 : -1;
  }
  page.result.setAttribute("aria-labelledby", `tab-${name}`);
  page.rangeOnly.hidden = name !== "graph";
}

function scale(page, factor) {
  page.range.value = duration(Math.max(10, (seconds(page.range.value) ?? page.span ?? 900) * factor));
  submit(page);
}

function submit(page) {
  page.remember({ expr: page.expr.value.trim(), tab: page.tab === "graph" ? "graph" : "", range: page.range.value.trim() === AUTO ? "" : page.range.value,
    step: page.step.value.trim(), end: page.end.value }, true);
  run(page);
}

function problem(page, text, kind) {
  page.result.replaceChildren(h("div", { class: "note bad", role: "alert" }, h("strong", {}, kind), h("p", { class: "code" }, text)));
}

async function run(page) {
  page.running.abort();
  page.running = new AbortController();
  const { signal } = page.running;
  const query = page.expr.value.trim();
  if (!query) {
    page.result.replaceChildren(h("section", { class: "panel empty" }, h("h2", {}, "Ask something"),
      h("ul", {}, ["up", "sum by (cluster, deployment) (rate(request_total{direction=\"inbound\"}[1m]))",
        "histogram_quantile(0.99, sum by (deployment, le) (rate(response_latency_ms_bucket[1m])))"].map((q) =>
        h("li", {}, h("a", { class: "code", href: `#/query?${new URLSearchParams({ expr: q, tab: q === "up" ? "table" : "graph" })}` }, q))))));
    return;
  }
  const end = page.end.value ? Date.parse(page.end.value) / 1000 : api.now();
  let span = seconds(page.range.value);
  if (page.tab === "graph" && page.range.value.trim() === AUTO) {
    span = await fit(signal).catch(() => null);
    if (signal.aborted) return;
    page.span = span;
  }
  const step = page.step.value.trim() ? seconds(page.step.value) : Math.max(1, Math.ceil((span ?? 0) / POINTS));
  if (page.tab === "graph" && !span) return problem(page, `Range ${page.range.value}: write a duration, such as 15m or 1h30m, or auto`, "Range");
  if (page.tab === "graph" && !step) return problem(page, `Step ${page.step.value}: write a duration, such as 15s`, "Step");
  if (Number.isNaN(end)) return problem(page, "At: write a date and a time, or press Now", "Time");
  page.result.setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const at = { start: end - span, end, step };
    const answer = page.tab === "graph" ? await api.range(query, at, signal) : await api.instant(query, page.end.value ? end : null, signal);
    const took = performance.now() - started;
    if (signal.aborted) return;
    page.result.replaceChildren(...[notes(answer.warnings, answer.infos),
      page.tab === "graph" ? graph(answer.data.result, at, took) : table(answer.data, took)].filter(Boolean));
  } catch (error) {
    if (signal.aborted) return;
    problem(page, error.message, error.kind ?? "error");
  } finally {
    if (!signal.aborted) page.result.removeAttribute("aria-busy");
  }
}

const told = (count, what, took) => h("p", { class: "muted small" }, `${count} ${what} in ${Math.round(took)} ms`);
const NOTHING = () => h("section", { class: "panel empty" }, h("h2", {}, "Empty result"),
  h("p", {}, "The expression is right, and nothing matches it at this time."));

function value([, text]) {
  return text;
}

/// Native histograms are told in short.
function shownValue(one) {
  if (one.value) return value(one.value);
  const { count, sum, buckets = [] } = one.histogram?.[1] ?? {};
  return `histogram: count ${count}, sum ${sum}, ${buckets.length} buckets`;
}

function table({ resultType, result }, took) {
  if (resultType === "scalar" || resultType === "string") {
    return h("section", { class: "panel" }, told(1, resultType, took), h("p", { class: "big code" }, value(result)));
  }
  if (!result.length) return NOTHING();
  const rows = resultType === "matrix"
    ? result.map((one) => [one.metric, (one.values ?? []).map(([t, v]) => h("div", {}, `${v} `, h("span", { class: "muted" }, `@ ${clock(t)}`)))])
    : result.map((one) => [one.metric, shownValue(one)]);
  return h("section", { class: "panel" }, told(result.length, "series", took),
    rows.length > ROWS && h("p", { class: "note" }, `The first ${ROWS} are shown. Aggregate, or use topk.`),
    h("div", { class: "wide" }, h("table", { class: "result" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Series"), h("th", { scope: "col", class: "num" }, "Value"))),
      h("tbody", {}, rows.slice(0, ROWS).map(([metric, shown]) => h("tr", {}, h("td", { class: "code" }, named(metric)), h("td", { class: "num code" }, shown)))))));
}

function graph(result, at, took) {
  if (!result.length) return NOTHING();
  const all = api.columns(result, at);
  const lines = all.slice(0, LINES).map((one, i) => ({ name: named(one.metric), points: one.points, style: style(i) }));
  const hidden = new Set();
  const data = () => ({ label: "Result", series: lines.filter((l) => !hidden.has(l.name)), start: at.start, end: at.end, height: 320, fromZero: false });
  const drawn = chart("result", data());
  const toggle = (line) => h("li", {}, h("button", { type: "button", class: "toggle", "aria-pressed": "true", onclick: (e) => {
    const shown = hidden.delete(line.name) || !hidden.add(line.name);
    e.currentTarget.setAttribute("aria-pressed", String(shown));
    drawn.live.set(data());
  } }, h("i", { class: `key ${line.style}`, "aria-hidden": "true" }), h("span", { class: "code" }, line.name), h("b", {}, number(api.last(line.points)))));
  return h("section", { class: "panel" }, told(all.length, `series, step ${duration(at.step)},`, took),
    all.length > LINES && h("p", { class: "note" }, `The first ${LINES} are drawn. Aggregate, or use topk.`),
    result.some((one) => one.histograms) && h("p", { class: "note" }, "Native histograms are not drawn; apply histogram_quantile or a like function."),
    drawn, h("ul", { class: "legend tall" }, lines.map(toggle)));
}

/// Keeps the listbox under the expression; names come from the querier once and are asked again after a minute.
function complete(page) {
  const cache = new Map();
  const ask = async (key, fetch) => {
    const kept = cache.get(key);
    if (kept && Date.now() - kept.at < 60000) return kept.list;
    // Without names one can still type.
    const list = await fetch().then((a) => a.data, () => []);
    cache.set(key, { at: Date.now(), list });
    return list;
  };
  const as = (kind) => (text) => ({ text, kind });
  const candidates = async (at) => {
    if (at.kind === "label") return (await (at.metric ? ask(`labels ${at.metric}`, () => api.labels(undefined, at.metric)) : ask("labels", () => api.labels()))).map(as("label"));
    if (at.kind === "value") return (await ask(`${at.label} ${at.metric}`, () => api.values(at.label, undefined, at.metric))).map(as("value"));
    return [...(await ask("names", () => api.values("__name__"))).map(as("metric")), ...FUNCTIONS.map(as("function")),
      ...AGGREGATIONS.map(as("aggregation")), ...KEYWORDS.map(as("keyword"))];
  };
  let offered = [];
  let chosen = -1;
  let at = null;
  const close = () => {
    [offered, chosen] = [[], -1];
    page.choices.hidden = true;
    page.expr.setAttribute("aria-expanded", "false");
    page.expr.removeAttribute("aria-activedescendant");
  };
  const mark = (to) => {
    chosen = (to + offered.length) % offered.length;
    [...page.choices.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === chosen)));
    page.choices.children[chosen].scrollIntoView({ block: "nearest" });
    page.expr.setAttribute("aria-activedescendant", `choice-${chosen}`);
  };
  const take = (i) => {
    const { text, kind } = offered[i];
    const rest = page.expr.value.slice(page.expr.selectionStart);
    const tail = kind === "function" || kind === "aggregation" ? (rest.startsWith("(") ? "" : "(") : kind === "value" && !/^["'`]/.test(rest) ? '"' : "";
    const escaped = kind === "value" ? text.replace(/["\\]/g, "\\$&") : text;
    page.expr.setRangeText(escaped + tail, at.from, page.expr.selectionStart, "end");
    close();
    page.expr.focus();
  };
  const offer = async () => {
    const here = context(page.expr.value, page.expr.selectionStart);
    at = here;
    if (!here.kind) return close();
    const list = matching(await candidates(here), here.word);
    if (at !== here || document.activeElement !== page.expr) return;
    if (!list.length) return close();
    offered = list;
    chosen = -1;
    page.expr.removeAttribute("aria-activedescendant");
    page.choices.replaceChildren(...list.map((c, i) => h("li", { id: `choice-${i}`, role: "option", "aria-selected": "false",
      onmousedown: (e) => {
        e.preventDefault();
        take(i);
      } }, h("span", { class: "code" }, c.text), h("small", {}, c.kind))));
    page.choices.hidden = false;
    page.expr.setAttribute("aria-expanded", "true");
  };
  page.expr.addEventListener("input", offer);
  page.expr.addEventListener("blur", close);
  page.expr.addEventListener("keydown", (e) => {
    const open = offered.length > 0;
    if (open && (e.key === "ArrowDown" || e.key === "ArrowUp")) mark(e.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? -1 : chosen - 1);
    else if (open && e.key === "Escape") close();
    else if (open && e.key === "Tab" && !e.shiftKey) take(Math.max(0, chosen));
    else if (open && e.key === "Enter" && chosen >= 0) take(chosen);
    else if (e.key === "Enter" && !e.shiftKey) {
      close();
      submit(page);
    } else return;
    e.preventDefault();
  });
}
