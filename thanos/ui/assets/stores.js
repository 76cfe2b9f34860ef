// Every store that the querier knows of, the silent ones first: what is missing decides what can be trusted.

import { now, stores } from "./api.js";
import { empty, h } from "./dom.js";
import { ago, clock } from "./format.js";
import { badge } from "./overview.js";

export const title = "Stores";

export async function load(_, signal) {
  const { data, warnings } = await stores(signal);
  const all = Object.entries(data).flatMap(([component, list]) => list.map((store) => ({ component, ...store })));
  all.sort((a, b) => !a.lastError - !b.lastError || a.name.localeCompare(b.name));
  return { all, warnings, now: now() };
}

/// Bounds that mean "no bound" are words.
function bound(ms, open) {
  if (Math.abs(ms) > 8.64e15 || ms === 0) return open;
  const date = new Date(ms);
  return h("time", { datetime: date.toISOString() }, `${date.toLocaleDateString()} ${clock(ms / 1000)}`);
}

export function render({ all, now }) {
  if (!all.length) {
    return [empty("No store", "The querier was started without --endpoint, or discovery found none. It answers only what needs no data.")];
  }
  const silent = all.filter((s) => s.lastError).length;
  return [
    h("p", { class: "lead" }, badge(silent ? "bad" : "good", silent ? `${silent} of ${all.length} do not answer` : `all ${all.length} answer`),
      silent ? " Answers that they may be missing from carry a warning." : ""),
    h("section", { class: "panel", "aria-label": "Stores" }, h("div", { class: "wide" }, h("table", { class: "cards", role: "table" },
      h("caption", {}, "Stores, as last asked"),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
        ["Store", "State", "Labels", "Data from", "Data to", "Asked"].map((t) => h("th", { scope: "col", role: "columnheader" }, t)))),
      h("tbody", { role: "rowgroup" }, all.map((store) => row(store, now)))))),
  ];
}

function row(store, now) {
  const cell = (head, ...content) => h("td", { role: "cell", "data-head": head }, h("div", {}, content));
  return h("tr", { role: "row", "data-key": `${store.name} ${store.address}` },
    h("th", { scope: "row", role: "rowheader" }, h("span", { class: "code" }, store.name), h("small", {}, `${store.component} · ${store.address}`)),
    cell("State", store.lastError ? badge("bad", "silent") : badge("good", "answers"),
      store.lastError ? h("p", { class: "problem" }, store.lastError.replace(/^store .* does not answer: /, "")) : ""),
    cell("Labels", store.labelSets.length ? store.labelSets.map((set) => h("ul", { class: "chips" },
      Object.entries(set).map(([k, v]) => h("li", {}, `${k}=${v}`)))) : "none"),
    cell("Data from", store.lastError && !store.minTime ? "–" : bound(store.minTime, "the beginning")),
    cell("Data to", store.lastError && !store.maxTime ? "–" : bound(store.maxTime, "now")),
    cell("Asked", store.lastCheck ? ago(now - Date.parse(store.lastCheck) / 1000) : "never"));
}
