// Line charts in SVG: with the mouse, a finger or the arrow keys one reads a point in time. Gaps stay gaps.

import { h, s } from "./dom.js";
import { clock, number } from "./format.js";

const MARGIN = { top: 8, right: 10, bottom: 22, left: 46 };
/// Colours tell eight series apart; from the ninth on dashes do too.
export const style = (i) => `line c${i % 8}${i >= 8 ? ` d${Math.min(3, Math.floor(i / 8))}` : ""}`;

/// Steps of 1, 2 or 5 × 10ⁿ within [low, high].
export function ticks(low, high, count, whole = false) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const found = [1, 2, 5, 10].map((m) => m * magnitude).find((m) => m >= raw);
  const step = whole ? Math.max(1, found) : found;
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(i * step);
  return out;
}

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800];

function timeTicks(start, end, count) {
  const step = TIME_STEPS.find((t) => (end - start) / t <= count) ?? 604800;
  const offset = new Date(start * 1000).getTimezoneOffset() * 60;
  const out = [];
  for (let t = Math.ceil((start - offset) / step) * step + offset; t <= end; t += step) out.push(t);
  return out;
}

/// An SVG path through the points; a lone point between two gaps becomes a dot.
function trace(points, x, y, stepped) {
  let path = "";
  let drawing = false;
  let previous = 0;
  points.forEach(([t, v], i) => {
    if (!Number.isFinite(v)) return void (drawing = false);
    const [px, py] = [x(t).toFixed(1), y(v).toFixed(1)];
    if (!drawing) path += `M${px} ${py}${Number.isFinite(points[i + 1]?.[1]) ? "" : "h0.01"}`;
    else path += stepped && previous !== py ? `H${px}V${py}` : `L${px} ${py}`;
    drawing = true;
    previous = py;
  });
  return path;
}

function extent(series, fromZero) {
  let [low, high] = [Infinity, -Infinity];
  for (const { points } of series) {
    for (const [, v] of points) {
      if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
    }
  }
  if (low > high) return [0, 1];
  if (fromZero) low = Math.min(0, low);
  if (low === high) [low, high] = low === 0 ? [0, 1] : [low - Math.abs(low) / 2, high + Math.abs(high) / 2];
  return [low, high + (high - low) * 0.05];
}

/// A small trend without axes, beside a number that says the same in words.
export function spark(points, low = 0) {
  const [width, height] = [88, 22];
  const series = [{ points }];
  const [, high] = extent(series, low === 0);
  const bottom = low === 0 ? 0 : extent(series, false)[0];
  const [start, end] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 1];
  const x = (t) => 1 + ((t - start) / (end - start || 1)) * (width - 2);
  const y = (v) => height - 2 - ((v - bottom) / (high - bottom || 1)) * (height - 4);
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" },
    s("path", { class: "base", d: `M1 ${height - 1}H${width - 1}` }),
    s("path", { class: "line c0", d: trace(points, x, y, false) }));
}

/// A chart that keeps itself up to date: `data` is
/// `{ label, series: [{ name, points, style }], start, end, height, format, stepped, whole, fromZero, bands }`, where a
/// band is `{ from, to, name }` in seconds.
export function chart(key, data) {
  const figure = h("figure", { class: "chart", "data-key": key });
  const live = { data, at: null, width: 0 };
  live.set = (next) => {
    live.data = next;
    draw(figure, live);
  };
  figure.live = live;
  new ResizeObserver(([entry]) => {
    const width = Math.round(entry.contentRect.width);
    if (width && width !== live.width) {
      live.width = width;
      draw(figure, live);
    }
  }).observe(figure);
  // The height is there before the width is known, so that nothing jumps.
  figure.style.minHeight = `${(data.height ?? 200) + 4}px`;
  return figure;
}

function draw(figure, live) {
  const { data, width } = live;
  if (!width) return;
  const height = data.height ?? 200;
  const format = data.format ?? number;
  const [low, high] = extent(data.series, data.fromZero ?? true);
  const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const span = data.end - data.start || 1;
  const x = (t) => plot.left + ((t - data.start) / span) * (plot.right - plot.left);
  const y = (v) => plot.bottom - ((v - low) / (high - low || 1)) * (plot.bottom - plot.top);
  const marks = s("g", { class: "marks" });
  const tip = h("div", { class: "tip", hidden: true });
  const focused = figure.contains(document.activeElement);
  const svg = s("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0",
    "aria-label": `${data.label}. ${spoken(data, format)} Arrow keys read points in time.`,
  },
    (data.bands ?? []).map((b) => s("rect", {
      class: "band", x: x(b.from), y: plot.top, width: Math.max(1, x(b.to) - x(b.from)), height: plot.bottom - plot.top,
    }, s("title", {}, b.name))),
    ticks(low, high, Math.max(3, height / 36), data.whole).map((v) => s("g", { class: "tick" },
      s("line", { x1: plot.left, x2: plot.right, y1: y(v), y2: y(v) }),
      s("text", { x: plot.left - 6, y: y(v) + 4, "text-anchor": "end" }, format(v)))),
    timeTicks(data.start, data.end, Math.max(2, width / 90)).map((t) => s("text", {
      class: "when", x: Math.min(Math.max(x(t), plot.left + 14), plot.right - 22), y: height - 6, "text-anchor": "middle",
    }, clock(t, span))),
    data.series.map((one, i) => s("path", { class: one.style ?? style(i), d: trace(one.points, x, y, data.stepped) })),
    marks);
  const point = (t) => {
    live.at = t;
    show(live, { x, y, plot, width, marks, tip, format, span });
  };
  svg.addEventListener("pointermove", (e) => {
    const at = (e.clientX - svg.getBoundingClientRect().left - plot.left) / (plot.right - plot.left);
    point(data.start + Math.min(1, Math.max(0, at)) * span);
  });
  const leave = () => point(null);
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (e) => {
    const grid = data.series[0]?.points ?? [];
    const step = grid.length > 1 ? grid[1][0] - grid[0][0] : span / 60;
    const now = live.at ?? data.end;
    const to = { ArrowLeft: now - step, ArrowRight: now + step, Home: data.start, End: data.end }[e.key];
    if (e.key === "Escape") leave();
    if (to === undefined) return;
    e.preventDefault();
    point(Math.min(data.end, Math.max(data.start, to)));
  });
  const at = live.at;
  figure.replaceChildren(svg, tip);
  if (focused) svg.focus({ preventScroll: true });
  if (at !== null) point(at);
}

function spoken(data, format) {
  if (!data.series.length) return "No data.";
  const ends = data.series.slice(0, 5).map((one) => `${one.name}: ${format(one.points.at(-1)?.[1])}`);
  return `Now ${ends.join(", ")}${data.series.length > 5 ? `, and ${data.series.length - 5} more` : ""}.`;
}

const SHOWN = 8;

function show(live, { x, y, plot, width, marks, tip, format, span }) {
  const { data, at } = live;
  tip.hidden = at === null;
  if (at === null || !data.series.length) return void marks.replaceChildren();
  const near = data.series.map((one, i) => {
    const nearest = one.points.reduce((best, p) => (Math.abs(p[0] - at) < Math.abs(best[0] - at) ? p : best), one.points[0] ?? [at, NaN]);
    return { name: one.name, style: one.style ?? style(i), t: nearest[0], v: nearest[1] };
  });
  const t = near[0].t;
  const held = near.filter((n) => !Number.isNaN(n.v)).sort((a, b) => b.v - a.v);
  marks.replaceChildren(s("line", { class: "cross", x1: x(t), x2: x(t), y1: plot.top, y2: plot.bottom }),
    ...held.filter((n) => Number.isFinite(n.v)).map((n) => s("circle", { class: `dot ${n.style}`, cx: x(n.t), cy: y(n.v), r: 3 })));
  const band = (data.bands ?? []).find((b) => b.from <= t && t <= b.to);
  tip.replaceChildren(h("strong", {}, clock(t, Math.min(span, 7000))), band ? h("div", { class: "muted" }, band.name) : "",
    ...held.slice(0, SHOWN).map((n) => h("div", {}, h("i", { class: `key ${n.style}` }), `${format(n.v)} `, h("span", { class: "muted" }, n.name))),
    held.length > SHOWN ? h("div", { class: "muted" }, `and ${held.length - SHOWN} lower`) : "",
    held.length ? "" : h("div", { class: "muted" }, "no value"));
  const right = x(t) > width / 2;
  tip.style.left = right ? "" : `${x(t) + 12}px`;
  tip.style.right = right ? `${width - x(t) + 12}px` : "";
}

/// What the colours mean.
export function legend(series, format = number, ...more) {
  return h("ul", { class: "legend" }, series.map((one, i) => h("li", { "data-key": one.name },
    h("i", { class: `key ${one.style ?? style(i)}`, "aria-hidden": "true" }), one.name, " ",
    h("b", {}, format(one.points.at(-1)?.[1])))), more);
}
