// The pages' pure parts, checked in a browser; the page that loads this says `passed` or what did not hold.
import { context, matching } from "/ui/complete.js";
import { duration, millis, number, percent, seconds, series } from "/ui/format.js";
import { components, layers } from "/ui/graph.js";
import { changes, newest, rises } from "/ui/decisions.js";
import { beginning, span } from "/ui/fit.js";
import { cause, evidence, limit } from "/ui/words.js";
import { columns, parse } from "/ui/api.js";
import { ticks } from "/ui/chart.js";
import { h, morphChildren } from "/ui/dom.js";

const wrong = [];
let checks = 0;
function equal(got, want, what) {
  checks += 1;
  if (JSON.stringify(got) !== JSON.stringify(want)) wrong.push(`${what}: ${JSON.stringify(got)} is not ${JSON.stringify(want)}`);
}

for (const [text, want] of [
  ["sum(ra", { kind: "name", from: 4, word: "ra" }],
  ["up{", { kind: "label", from: 3, word: "", metric: "up" }],
  ['up{job="a",in', { kind: "label", from: 11, word: "in", metric: "up" }],
  ['up{job="x', { kind: "value", from: 8, word: "x", label: "job", metric: "up" }],
  ['up{job!~"x{', { kind: "value", from: 9, word: "x{", label: "job", metric: "up" }],
  ["sum by (clu", { kind: "label", from: 8, word: "clu", metric: null }],
  ["rate(x[5", { kind: null }],
  ["5m", { kind: null }],
  ['label_replace(up, "a', { kind: null }],
  ["", { kind: null }],
]) equal(context(text, text.length), want, `context of ${text}`);

const names = ["my_up", "up", "uptime"].map((text) => ({ text }));
equal(matching(names, "up").map((c) => c.text), ["uptime", "my_up"], "beginnings come first, what is typed is left out");
for (const [text, want] of [["15m", 900], ["1h30m", 5400], ["500ms", 0.5], ["", null], ["5", null], ["0s", null], ["1m x", null]]) {
  equal(seconds(text), want, `seconds of ${text}`);
}
for (const value of [0.25, 1, 90, 3600, 90061]) equal(seconds(duration(value)), value, `${value} there and back`);
for (const [value, want] of [[0, "0"], [1234, "1234"], [0.12345, "0.123"], [45678, "45.7k"], [2.5e6, "2.5M"], [NaN, "–"], [-Infinity, "−∞"]]) {
  equal(number(value), want, `number ${value}`);
}
for (const [value, want] of [[1, "100%"], [0.999999, "99.99%"], [0, "0.00%"], [NaN, "–"]]) equal(percent(value), want, `percent ${value}`);
for (const [value, want] of [[52.34, "52.3 ms"], [1950, "1.95 s"], [NaN, "–"]]) equal(millis(value), want, `millis ${value}`);
equal(series({ __name__: "a", b: 'q"' }), 'a{b="q\\""}', "a series' name");
equal(parse("+Inf") === Infinity && Number.isNaN(parse("NaN")), true, "special numbers");

const calls = [["a", "b"], ["b", "c"], ["a", "c"], ["c", "a"], ["d", "d"]].map(([from, to]) => ({ from, to }));
const where = layers(["a", "b", "c", "d"], calls);
equal(where.map((row) => row.slice().sort()), [["a", "d"], ["b"], ["c"]], "layers, with a cycle and a call to oneself");
equal(components(["a", "b", "c", "d", "e"], calls.concat([{ from: "e", to: "e" }])).map((g) => g.slice().sort()), [["a", "b", "c"], ["d"], ["e"]], "groups that call only themselves");
equal([cause("AboveTarget"), cause("NewCode"), limit(""), evidence(undefined)], ["the metrics ask for more", "new code", "", ""], "codes in words");
const counters = [{ metric: { cause: "a" }, points: [[1, 2], [2, 2], [3, 3]] }, { metric: { cause: "b" }, points: [[1, NaN], [2, 1], [3, NaN]] }];
equal(rises(counters).map(({ t, metric }) => [t, metric.cause]), [[2, "b"], [3, "a"]], "counters that rose, and those born within");
const wanted = [[1, 2], [2, 5], [3, 5], [4, 9], [5, 9], [6, 4], [7, NaN], [8, 4]];
const write = (cause, ...values) => ({ metric: { cause }, points: values.map((v, i) => [i + 1, v]) });
const told = (points, ...writes) => changes(points, writes).map(({ from, to, by }) => [from, to, by.map((m) => m.cause)]);
equal(told(wanted, write("up", 0, 1, 1, 2), write("down", 0, 0, 0, 0, 0, 1)),
  [[9, 4, ["down"]], [5, 9, ["up"]], [2, 5, ["up"]]], "each change has the cause that was written with it");
equal(told(wanted, write("up", 0, 1), write("down", 0, 0, 0, 0, 1)),
  [[9, 4, []], [5, 9, []], [2, 5, ["up"]]], "a neighbour's cause is nobody's");
equal(told(wanted.slice(0, 2), write("up", 0, 1), write("over", 0, 1)), [[2, 5, ["up", "over"]]], "several writes in one step are several");
equal(newest([{ at: 3, metric: "a" }, { at: 9, metric: "b" }, { at: 4, metric: "c" }]), "b", "the newest decision is the last");
equal(newest([]) === undefined, true, "none is none");
for (const [first, at, want] of [[null, 1000, 900], [880, 1000, 120], [881, 1000, 120], [999, 1000, 30], [0, 90000, 900], [2000, 1000, 30]]) {
  equal(span(first, at), want, `a page at ${at} of data since ${first}`);
}
equal(beginning([{ values: [[50, "1"], [55, "1"]] }, { values: [[45, "1"]] }, {}]), 45, "where data begin");
equal(beginning([]), null, "no data begin nowhere");
equal(ticks(0, 2, 5, true), [0, 1, 2], "ticks of what is counted");
equal(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10], "ticks");
equal(ticks(3, 3, 5), [3], "ticks of nothing");
const [column] = columns([{ metric: {}, values: [[10, "1"], [30, "3"]] }], { start: 10, end: 30, step: 10 });
equal(column.points, [[10, 1], [20, null], [30, 3]], "gaps stay gaps");

const list = h("ul", {}, ["a", "b", "c"].map((key) => h("li", { "data-key": key }, key)));
const kept = list.children[2];
morphChildren(list, ["c", "a", "d"].map((key) => h("li", { "data-key": key }, `new ${key}`)));
equal([...list.children].map((c) => c.textContent), ["new c", "new a", "new d"], "a list brought up to date");
equal(list.children[0] === kept, true, "what has the same key is the same element");
const text = h("p", {}, "<b>no markup</b>");
equal(text.children.length, 0, "text is text");

document.getElementById("outcome").textContent = wrong.length ? wrong.join("\n") : `passed ${checks}`;
