// Numbers, times and labels as people read them. No DOM, no clock.

const DURATION = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400, w: 604800, y: 31536000 };

/// Seconds of a PromQL duration such as `1h30m`, or null.
export function seconds(text) {
  const parts = [...String(text).trim().matchAll(/(\d+)(ms|[smhdwy])/gy)];
  if (!parts.length || parts.map((p) => p[0]).join("") !== String(text).trim()) return null;
  const total = parts.reduce((sum, [, n, unit]) => sum + Number(n) * DURATION[unit], 0);
  return total > 0 ? total : null;
}

/// A PromQL duration of these seconds, whole milliseconds.
export function duration(value) {
  let ms = Math.round(value * 1000);
  let text = "";
  for (const [unit, size] of [["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000], ["ms", 1]]) {
    const n = Math.floor(ms / size);
    if (n) text += `${n}${unit}`;
    ms -= n * size;
  }
  return text || "0s";
}

export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size === 0) return "0";
  for (const [limit, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= limit) return plain(value / (limit === 1e4 ? 1e3 : limit), digits) + unit;
  }
  return size < 0.001 ? value.toExponential(1) : plain(value, digits);
}

function plain(value, digits) {
  const size = Math.abs(value);
  const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  const text = value.toFixed(Math.min(decimals, 6));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function percent(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  if (value >= 1) return "100%";
  // What failed a little must not be rounded up to perfect.
  return `${(Math.floor(value * 10000) / 100).toFixed(2)}%`;
}

export function millis(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return "∞";
  return value >= 1000 ? `${plain(value / 1000, 3)} s` : `${plain(value, 3)} ms`;
}

export function clock(seconds, span = 0) {
  const date = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (span > 172800) return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
  return span > 7200 ? time : `${time}:${two(date.getSeconds())}`;
}

export function ago(seconds) {
  if (seconds < 2) return "just now";
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

/// `name{a="1", b="2"}`
export function series(metric) {
  const { __name__: name = "", ...labels } = metric;
  const text = Object.entries(labels).map(([k, v]) => `${k}=${JSON.stringify(v)}`);
  return text.length || !name ? `${name}{${text.join(", ")}}` : name;
}
