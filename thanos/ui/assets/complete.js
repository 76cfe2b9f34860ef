// What may stand at the caret of a PromQL text: functions, metric names, labels, values. Pure.

export const FUNCTIONS = ("abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp clamp_max "
  + "clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv exp floor "
  + "histogram_avg histogram_count histogram_fraction histogram_quantile histogram_stddev histogram_stdvar histogram_sum "
  + "hour idelta increase irate label_join label_replace last_over_time ln log10 log2 max_over_time min_over_time minute "
  + "month pi predict_linear present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh sort sort_desc "
  + "sqrt stddev_over_time stdvar_over_time sum_over_time tan tanh time timestamp vector year").split(" ");
export const AGGREGATIONS = "avg bottomk count count_values group max min quantile stddev stdvar sum topk".split(" ");
export const KEYWORDS = "and bool by group_left group_right ignoring offset on or unless without".split(" ");
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(\s*$/;

/// Where the caret stands: `{ kind, from, word, label, metric }`; `kind` is "name", "label", "value" or null.
export function context(text, caret) {
  const before = text.slice(0, caret);
  let quote = null;
  let braces = null;
  const stack = [];
  for (let i = 0; i < before.length; i++) {
    const c = before[i];
    if (quote) {
      if (c === "\\" && quote.mark !== "`") i++;
      else if (c === quote.mark) quote = null;
    } else if (c === '"' || c === "'" || c === "`") quote = { mark: c, at: i };
    else if (c === "{" || c === "(" || c === "[") stack.push({ c, i });
    else if (c === "}" || c === ")" || c === "]") stack.pop();
  }
  const open = stack.at(-1);
  if (open?.c === "[") return { kind: null };
  if (open?.c === "{") braces = open.i;
  const metric = braces === null ? null : /([a-zA-Z_:][\w:]*)\s*$/.exec(before.slice(0, braces))?.[1] ?? null;
  if (quote) {
    const label = braces === null ? null : /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*$/.exec(before.slice(0, quote.at))?.[1];
    return label ? { kind: "value", from: quote.at + 1, word: before.slice(quote.at + 1), label, metric } : { kind: null };
  }
  const word = /[a-zA-Z_:][\w:]*$/.exec(before)?.[0] ?? "";
  const from = caret - word.length;
  if (braces !== null) return /[{,]\s*$/.test(before.slice(0, from)) ? { kind: "label", from, word, metric } : { kind: null };
  const list = open ? before.slice(0, open.i + 1) : "";
  if (GROUPING.test(list)) return { kind: "label", from, word, metric: null };
  // Right after a number stands a duration or nothing.
  if (!word || /[\d.]$/.test(before.slice(0, from))) return { kind: null };
  return { kind: "name", from, word };
}

/// The best of `candidates` for what is typed: those that begin so, then those that hold it.
export function matching(candidates, word, most = 12) {
  const typed = word.toLowerCase();
  const score = (c) => {
    const at = c.text.toLowerCase().indexOf(typed);
    return at < 0 ? Infinity : at === 0 ? 0 : 1;
  };
  return candidates.map((c) => ({ c, at: score(c) })).filter(({ at }) => at < Infinity)
    .sort((a, b) => a.at - b.at || a.c.text.length - b.c.text.length || a.c.text.localeCompare(b.c.text))
    .slice(0, most).map(({ c }) => c).filter((c) => c.text !== word);
}
