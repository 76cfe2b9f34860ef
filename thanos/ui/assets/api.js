// The querier's Prometheus HTTP API, and nothing else, is where numbers come from.

const DEADLINE_MS = 30000;

/// Seconds that the querier's clock is ahead of this machine's; `Date` headers tell, to about a second.
let ahead = 0;
export const now = () => Date.now() / 1000 + ahead;

/// An answer that is an error; `kind` is the API's errorType.
export class ApiError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

async function call(path, parameters, signal, method = "GET") {
  const form = new URLSearchParams(parameters ?? {});
  const post = method === "POST";
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  let response;
  let body;
  try {
    response = await fetch(`/api/v1/${path}${!post && form.size ? `?${form}` : ""}`, {
      method,
      body: post ? form : undefined,
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      headers: { Accept: "application/json" },
    });
    const difference = Date.parse(response.headers.get("Date") ?? "") / 1000 - Date.now() / 1000;
    ahead = Math.abs(difference) > 3 ? difference : 0;
    body = await response.json().catch(() => null);
  } catch (error) {
    if (signal?.aborted) throw error;
    if (deadline.aborted) throw new ApiError("timeout", `no answer within ${DEADLINE_MS / 1000} s`);
    throw new ApiError("network", "the querier cannot be reached");
  }
  if (body?.status === "success") return { data: body.data, warnings: body.warnings ?? [], infos: body.infos ?? [] };
  throw new ApiError(body?.errorType ?? `HTTP ${response.status}`, body?.error ?? "the answer was not JSON");
}

export function instant(query, time, signal) {
  return call("query", { query, ...(time ? { time } : {}) }, signal, "POST");
}

export function range(query, { start, end, step }, signal) {
  return call("query_range", { query, start, end, step }, signal, "POST");
}

export const labels = (signal, match) => call("labels", { limit: 2000, ...(match ? { "match[]": match } : {}) }, signal);
export const values = (label, signal, match) =>
  call(`label/${encodeURIComponent(label)}/values`, { limit: 5000, ...(match ? { "match[]": match } : {}) }, signal);
export const stores = (signal) => call("stores", {}, signal);

/// Several at once; the warnings of all, each once.
export async function all(named) {
  const names = Object.keys(named);
  const answers = await Promise.all(Object.values(named));
  const warnings = new Set(answers.flatMap((a) => a.warnings));
  return { ...Object.fromEntries(names.map((n, i) => [n, answers[i].data.result])), warnings: [...warnings] };
}

/// A matrix's series as columns: `{ labels, points: [[seconds, number]] }`, with gaps as NaN.
export function columns(result, { start, end, step }) {
  const count = Math.floor((end - start) / step + 1e-9) + 1;
  return result.map(({ metric, values = [] }) => {
    const points = Array.from({ length: count }, (_, i) => [start + i * step, NaN]);
    for (const [t, v] of values) {
      const point = points[Math.round((t - start) / step)];
      if (point) point[1] = parse(v);
    }
    return { metric, points };
  });
}

export function parse(text) {
  return text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);
}

/// The value that a series ends with: now, or nothing.
export const last = (points) => points?.at(-1)?.[1] ?? NaN;

/// Quotes a label's value for PromQL.
export const quote = (text) => JSON.stringify(text);
