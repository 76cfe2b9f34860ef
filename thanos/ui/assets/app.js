// The frame: which view, which time, how often; state is in the address, so that a link shows the same.

import * as overview from "./overview.js";
import * as query from "./query.js";
import * as scaling from "./scaling.js";
import * as stores from "./stores.js";
import * as topology from "./topology.js";
import { instant, now, parse } from "./api.js";
import { empty, h, morphChildren, notes } from "./dom.js";
import { fit } from "./fit.js";
import { clock, duration, seconds } from "./format.js";

const VIEWS = { overview, topology, scaling, stores, query };
const POINTS = 120;
const main = document.getElementById("view");
const status = document.getElementById("status");
const controls = { range: document.getElementById("range"), every: document.getElementById("every") };
const pause = document.getElementById("pause");
const theme = document.getElementById("theme");

let shown = null;
let running = new AbortController();
let timer = 0;
let paused = false;
let interval = { seconds: 15, asked: 0 };

function place() {
  const [path, text = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  return { name: Object.hasOwn(VIEWS, path) ? path : "overview", params: new URLSearchParams(text) };
}

/// Writes parameters into the address without a step in the history, unless `step`.
function remember(changes, step = false) {
  const { name, params } = place();
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") params.delete(key);
    else params.set(key, value);
  }
  const address = `#/${name}${params.size ? `?${params}` : ""}`;
  history[step ? "pushState" : "replaceState"](null, "", address);
}

/// How often the fastest target is scraped: a rate needs a few samples, wherever this runs.
async function scrapeInterval(signal) {
  if (Date.now() - interval.asked < 60000) return interval.seconds;
  const { data } = await instant("max(count_over_time(up[1m]))", null, signal);
  const count = parse(data.result[0]?.value[1] ?? "0");
  interval = { seconds: count > 0 ? Math.max(1, Math.round(60 / count)) : 15, asked: count > 0 ? Date.now() : 0 };
  return interval.seconds;
}

async function times(signal) {
  const span = seconds(controls.range.value) ?? (await fit(signal));
  const scrape = await scrapeInterval(signal);
  const step = Math.max(scrape, Math.ceil(span / POINTS));
  const end = Math.floor(now() / step) * step;
  return { start: end - Math.floor(span / step) * step, end, step, window: duration(Math.max(5, 4 * scrape, step)) };
}

async function refresh() {
  clearTimeout(timer);
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const { name, params } = place();
  const view = VIEWS[name];
  const fresh = shown !== name;
  if (fresh) enter(name, view);
  if (view.mount) {
    if (fresh) main.replaceChildren(view.mount({ params, remember, place }));
    else view.follow?.(params);
    main.setAttribute("aria-busy", "false");
    status.textContent = "Runs when asked to";
    return;
  }
  try {
    const at = await times(signal);
    const model = await view.load(at, signal, params);
    if (signal.aborted) return;
    morphChildren(main, [title(view), notes(model.warnings ?? []), ...view.render(model, at, params)].filter(Boolean));
    status.textContent = `Updated ${clock(Date.now() / 1000)}, last ${duration(at.end - at.start)}${paused ? ", paused" : ""}`;
    status.className = "";
  } catch (error) {
    if (signal.aborted) return;
    failed(view, error);
  }
  main.setAttribute("aria-busy", "false");
  later();
}

function title(view) {
  return h("h1", { "data-key": "title" }, view.title);
}

function enter(name, view) {
  shown = name;
  document.title = `${view.title} · Gauntlet`;
  document.body.dataset.view = name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.setAttribute("aria-busy", "true");
  main.replaceChildren(title(view), h("div", { class: "panel waiting", "data-key": "waiting" }, "Asking the querier"));
}

/// A refresh that fails leaves what was there and says how old it is; a first load that fails says what to do.
function failed(view, error) {
  const text = `${error.kind ?? "error"}: ${error.message}`;
  if (!(error.kind ?? "")) console.error(error);
  if (main.querySelector('[data-key="waiting"], [data-key="failed"]')) {
    const panel = empty("No answer", h("p", { role: "alert" }, text),
      "This page asks again by itself. If it stays so, look at the stores, or at the querier's log.");
    panel.dataset.key = "failed";
    panel.append(h("p", {}, h("a", { href: "#/stores" }, "Stores and their state")));
    morphChildren(main, [title(view), panel]);
  }
  status.textContent = `Not refreshed at ${clock(Date.now() / 1000)}: ${text}`;
  status.className = "bad";
}

function later() {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(refresh, (seconds(controls.every.value) ?? 5) * 1000);
}

function setPaused(value) {
  paused = value;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Resume" : "Pause";
  if (paused) clearTimeout(timer);
}

const THEMES = ["auto", "light", "dark"];
function setTheme(value) {
  const known = THEMES.includes(value) ? value : "auto";
  document.documentElement.dataset.theme = known;
  theme.replaceChildren(h("span", {}, "Theme: "), known);
  theme.setAttribute("aria-label", `Theme: ${known}`);
  // Storage may be forbidden; the choice then lasts as long as the page.
  try { localStorage.setItem("theme", known); } catch { /* as said */ }
}

function start() {
  let stored = null;
  try { stored = localStorage.getItem("theme"); } catch { /* as above */ }
  const { params } = place();
  setTheme(params.get("theme") ?? stored);
  for (const [key, fallback] of [["range", "auto"], ["every", "5s"]]) {
    const wanted = params.get(key);
    controls[key].value = [...controls[key].options].some((o) => o.value === wanted) ? wanted : fallback;
    controls[key].addEventListener("change", () => {
      remember({ [key]: controls[key].value });
      refresh();
    });
  }
  theme.addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % 3]));
  pause.addEventListener("click", () => {
    setPaused(!paused);
    if (!paused) refresh();
  });
  document.querySelector(".skip").addEventListener("click", (e) => {
    e.preventDefault();
    main.focus();
  });
  addEventListener("hashchange", () => {
    // Range and pace are the reader's, whichever view.
    if (place().name !== "query") remember({ range: controls.range.value, every: controls.every.value });
    refresh();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : paused || refresh()));
  refresh();
}

start();
