//! What was run: the faults as planned, restarts, and the scenario's own text.

use crate::html::Html;
use crate::page::columns;
use crate::run::Run;
use crate::scale::clock;

/// Characters of a scenario that are shown.
const TEXT_CHARS_MAX: usize = 200_000;

/// Rows of faults and of restarts.
const ROWS_MAX: usize = 200;

/// The scenario of each run.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    columns(&mut h, runs, |h, _, run| {
        faults(h, run);
        let s = &run.record.scenario;
        if s.text.is_empty() {
            h.raw("<p class=\"empty\">The record does not hold the scenario's text.</p>");
            return;
        }
        h.fill(
            "<details open><summary>{}</summary>",
            &[&if s.file.is_empty() { "scenario" } else { &s.file }],
        );
        if !s.set.is_empty() {
            h.raw("<p class=\"note\">Changed on the command line:");
            for (key, value) in s.set.iter().take(ROWS_MAX) {
                h.fill(" <code>{}={}</code>", &[key, value]);
            }
            h.raw("</p>");
        }
        h.raw("<pre tabindex=\"0\"><code>").escaped(&s.text, TEXT_CHARS_MAX).raw("</code></pre></details>");
    });
    h
}

fn faults(h: &mut Html, run: &Run) {
    if !run.faults.is_empty() {
        h.raw("<div class=\"scroll\" tabindex=\"0\"><table><caption>Faults</caption><thead><tr>");
        h.raw(
            "<th scope=\"col\">fault</th><th scope=\"col\">what</th><th scope=\"col\" class=\"n\">from</th>",
        );
        h.raw("<th scope=\"col\" class=\"n\">to</th></tr></thead><tbody>");
        for f in run.faults.iter().take(ROWS_MAX) {
            let to = if f.to_s > f.from_s { clock(f.to_s) } else { "at once".to_owned() };
            h.fill("<tr><th scope=\"row\">{}</th><td>{}</td>", &[&f.name, &f.detail]);
            h.fill("<td class=\"n\">{}</td><td class=\"n\">{}</td></tr>", &[&clock(f.from_s), &to]);
        }
        h.raw("</tbody></table></div>");
    }
    if !run.restarts.is_empty() {
        h.raw("<div class=\"scroll\" tabindex=\"0\"><table><caption>Restarts</caption><tbody>");
        for (at_s, text) in run.restarts.iter().take(ROWS_MAX) {
            h.fill("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", &[&clock(*at_s), text]);
        }
        h.raw("</tbody></table></div>");
    }
    for (what, n) in [("faults", run.faults.len()), ("restarts", run.restarts.len())] {
        if n > ROWS_MAX {
            h.fill("<p class=\"note\">{} more {} are in the record.</p>", &[&(n - ROWS_MAX), &what]);
        }
    }
}
