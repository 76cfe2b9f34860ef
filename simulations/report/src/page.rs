//! The page: its head, its sections, and one column a run in each.

use crate::alike;
use crate::html::Html;
use crate::record::Verdict;
use crate::run::Run;
use crate::scale::clock;

mod cell;
mod decisions;
mod figures;
mod load;
mod scenario;
mod timeline;
mod verdict;

/// What says how it looks.
const STYLE: &str = include_str!("page/style.css");

/// Tells the values under the pointer; the page needs it for nothing else.
const HOVER: &str = include_str!("page/hover.js");

/// The version that made the page.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Characters of a name or of a number's words.
const SHORT_CHARS_MAX: usize = 100;

/// The whole page.
pub(crate) fn page(runs: &[Run]) -> String {
    let mut h = Html::new();
    h.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    h.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    // The page says itself that it needs no network.
    h.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ");
    h.raw("style-src 'unsafe-inline'; script-src 'unsafe-inline'\">");
    h.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    h.fill("<title>{}</title>", &[&title(runs)]);
    h.raw("<style>").raw(STYLE).raw("</style></head>");
    h.raw(if runs.len() > 1 { "<body class=\"many\">" } else { "<body>" });
    h.raw("<a class=\"skip\" href=\"#verdict\">To the verdict</a>");
    header(&mut h, runs);
    h.raw("<main>");
    for (id, name, content) in [
        ("verdict", "Verdict", verdict::html(runs)),
        ("figures", "Figures", figures::html(runs)),
        ("timeline", "What happened", timeline::html(runs)),
        ("decisions", "Decisions", decisions::html(runs)),
        ("scenario", "Scenario", scenario::html(runs)),
    ] {
        h.fill(
            "<section id=\"{}\" aria-labelledby=\"h-{}\"><h2 id=\"h-{}\">{}</h2>",
            &[&id, &id, &id, &name],
        );
        h.push(&content).raw("</section>");
    }
    h.raw("</main>");
    footer(&mut h, runs);
    h.raw("<script>").raw(HOVER).raw("</script></body></html>\n");
    h.into_string()
}

fn title(runs: &[Run]) -> String {
    let names: Vec<&str> = runs.iter().map(|r| r.record.scenario.name.as_str()).collect();
    let words = match runs {
        [run] => format!(": {}", state(&run.record.verdict).1),
        _ => String::new(),
    };
    format!("{}{words} · Gauntlet report", names.join(" and "))
}

/// CSS class, words, and sign of a verdict.
fn state(verdict: &Verdict) -> (&'static str, String, &'static str) {
    let (class, words, sign) = match verdict {
        Verdict::Pass => ("good", "passed", "✓"),
        Verdict::Thresholds => ("bad", "failed", "✗"),
        Verdict::InvalidGenerator => ("odd", "invalid load", "!"),
        Verdict::Interrupted => ("odd", "broken off", "!"),
        Verdict::Other(word) if word.is_empty() => ("odd", "verdict unknown", "?"),
        Verdict::Other(word) => return ("odd", format!("verdict {word}"), "?"),
    };
    (class, words.to_owned(), sign)
}

/// A letter for a run, by which columns are told apart.
pub(crate) fn letter(index: usize) -> char {
    char::from(b'A'.saturating_add(u8::try_from(index).unwrap_or(25).min(25)))
}

/// Begins a run's column; with one run there is nothing to tell apart.
fn column(h: &mut Html, runs: &[Run], index: usize) {
    h.raw("<div class=\"column\">");
    if let Some(run) = runs.get(index).filter(|_| runs.len() > 1) {
        h.fill("<p class=\"which\"><b class=\"letter\">{}</b> {}</p>", &[&letter(index), &run.source]);
    }
}

/// One column a run.
fn columns(h: &mut Html, runs: &[Run], each: impl Fn(&mut Html, usize, &Run)) {
    h.raw("<div class=\"columns\">");
    for (i, run) in runs.iter().enumerate() {
        column(h, runs, i);
        each(h, i, run);
        h.raw("</div>");
    }
    h.raw("</div>");
}

fn header(h: &mut Html, runs: &[Run]) {
    h.raw("<header><p class=\"over\">Gauntlet run report</p>");
    if runs.len() > 1 {
        h.fill("<h1>{} runs side by side</h1>", &[&runs.len()]);
    }
    columns(h, runs, |h, _, run| {
        let r = &run.record;
        let (class, words, sign) = state(&r.verdict);
        h.raw(if runs.len() > 1 { "<h2 class=\"name\">" } else { "<h1>" });
        let unnamed = if r.scenario.name.is_empty() { "(unnamed)" } else { &r.scenario.name };
        h.fill(
            "{} <span class=\"badge {}\"><span aria-hidden=\"true\">{}</span> {}</span>",
            &[&unnamed, &class, &sign, &words],
        );
        h.raw(if runs.len() > 1 { "</h2>" } else { "</h1>" });
        if !r.scenario.description.is_empty() {
            h.fill("<p class=\"lead\">{}</p>", &[&r.scenario.description]);
        }
        h.raw("<dl class=\"facts\">");
        let set: Vec<String> = r.scenario.set.iter().map(|(k, v)| format!("{k}={v}")).collect();
        for (name, value) in [
            ("load began", to_the_second(&r.started_at)),
            ("length", clock(r.duration_s)),
            ("clusters", r.clusters.join(", ")),
            ("seed", r.seed.to_string()),
            ("set", set.join(", ")),
            ("file", r.scenario.file.clone()),
            ("version", r.version.clone()),
        ] {
            if !value.is_empty() {
                h.fill("<div><dt>{}</dt><dd>{}</dd></div>", &[&name, &value]);
            }
        }
        h.raw("</dl>");
        age(h, run);
    });
    differences(h, runs);
    h.raw("<nav aria-label=\"Sections\"><a href=\"#verdict\">Verdict</a> <a href=\"#figures\">Figures</a> ");
    h.raw("<a href=\"#timeline\">What happened</a> <a href=\"#decisions\">Decisions</a> ");
    h.raw("<a href=\"#scenario\">Scenario</a></nav></header>");
}

/// What a record of another version lacks: it is read, and what is not in it is not made up.
fn age(h: &mut Html, run: &Run) {
    let version = run.record.version.as_str();
    let lacks = run.lacks();
    if !lacks.is_empty() {
        h.fill("<p class=\"note\">An old record: it does not hold {}.</p>", &[&lacks.join(", ")]);
    }
    if version.is_empty() {
        h.raw("<p class=\"note\">The record does not say which version ran it.</p>");
    } else if version != VERSION {
        h.raw("<p class=\"note\">Run by version ").escaped(&version, SHORT_CHARS_MAX);
        h.fill(", shown by version {}.</p>", &[&VERSION]);
    }
}

/// What the comparison is of.
fn differences(h: &mut Html, runs: &[Run]) {
    if runs.len() < 2 {
        return;
    }
    let all = alike::differences(runs);
    if all.is_empty() {
        h.raw("<p class=\"note\">As far as the records tell, these runs are of the same, seed and all.</p>");
        return;
    }
    h.raw(
        "<div class=\"scroll\" tabindex=\"0\"><table class=\"differences\"><caption>What differs</caption>",
    );
    h.raw("<thead><tr><th scope=\"col\"></th>");
    for i in 0..runs.len() {
        h.fill("<th scope=\"col\"><b class=\"letter\">{}</b></th>", &[&letter(i)]);
    }
    h.raw("</tr></thead><tbody>");
    for (name, values) in &all {
        h.fill("<tr><th scope=\"row\">{}</th>", &[name]);
        for value in values {
            h.fill("<td>{}</td>", &[&if value.is_empty() { "–" } else { value }]);
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table></div>");
}

/// `2026-01-01T00:00:00.123456Z` without its fraction.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, fraction)) if fraction.ends_with('Z') => format!("{whole}Z"),
        _ => time.to_owned(),
    }
}

fn footer(h: &mut Html, runs: &[Run]) {
    h.raw("<footer><p>Made by <code>gauntlet report</code> from ");
    let sources: Vec<&str> = runs.iter().map(|r| r.source.as_str()).collect();
    h.fill("<code>{}</code>.", &[&sources.join(" ")]);
    h.raw(
        " Times are from the start of the load; latency is from the planned time of a request to its last ",
    );
    h.raw("byte, failures included.");
    h.raw("</p>");
    for (i, run) in runs.iter().enumerate().filter(|(_, r)| !r.passed_over.is_empty()) {
        let all: usize = run.passed_over.iter().map(|(_, n)| n).sum();
        h.raw("<p>");
        if runs.len() > 1 {
            h.fill("<b class=\"letter\">{}</b> ", &[&letter(i)]);
        }
        h.fill("{} events of the record are not shown:", &[&all]);
        for (n, (what, count)) in run.passed_over.iter().enumerate() {
            h.fill("{} {} × ", &[&if n > 0 { "," } else { "" }, count]).escaped(what, SHORT_CHARS_MAX);
        }
        h.raw(".</p>");
    }
    h.raw("</footer>");
}
