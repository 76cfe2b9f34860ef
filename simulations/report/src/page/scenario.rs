//! What was run: faults and marks as planned and as made, restarts, the scenario's own text, and the files it used.

use crate::html::Html;
use crate::page::columns;
use crate::record::Input;
use crate::run::Run;
use crate::scale::clock;

/// Characters of a scenario that are shown, and of all its files together.
const TEXT_CHARS_MAX: usize = 200_000;

/// Rows of faults, of marks and of restarts.
const ROWS_MAX: usize = 200;

/// Files that are shown.
const INPUTS_MAX: usize = 100;

/// A mark that was made so much later than planned is pointed at.
const LATE_S: f64 = 0.1;

/// The scenario of each run.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    columns(&mut h, runs, |h, _, run| {
        faults(h, run);
        marks(h, run);
        text(h, run);
        inputs(h, &run.record.inputs);
    });
    h
}

fn text(h: &mut Html, run: &Run) {
    let s = &run.record.scenario;
    if !s.digest.is_empty() {
        h.fill("<p class=\"note\">Digest of the scenario as it ran, without its seed, and of all inputs: <code>{}</code></p>", &[&s.digest]);
    }
    if !s.set.is_empty() {
        h.raw("<p class=\"note\">Changed on the command line:");
        for (key, value) in s.set.iter().take(ROWS_MAX) {
            h.fill(" <code>{}={}</code>", &[key, value]);
        }
        h.raw("</p>");
    }
    if s.text.is_empty() && s.effective.is_empty() {
        h.raw("<p class=\"empty\">The record does not hold the scenario's text.</p>");
    }
    let name = if s.file.is_empty() { "scenario" } else { &s.file };
    if !s.text.is_empty() {
        h.fill("<details open><summary>{}</summary>", &[&name]);
        h.raw("<pre tabindex=\"0\"><code>").escaped(&s.text, TEXT_CHARS_MAX).raw("</code></pre></details>");
    }
    if !s.effective.is_empty() && s.effective != s.text {
        h.fill("<details><summary>{} as it ran</summary>", &[&name]);
        h.raw("<pre tabindex=\"0\"><code>")
            .escaped(&s.effective, TEXT_CHARS_MAX)
            .raw("</code></pre></details>");
    }
}

/// Files by digest; of very long ones, as much as there is room for.
fn inputs(h: &mut Html, inputs: &[Input]) {
    if inputs.is_empty() {
        return;
    }
    h.fill("<details class=\"inputs\"><summary>Inputs: {}</summary>", &[&inputs.len()]);
    let mut left = TEXT_CHARS_MAX;
    for i in inputs.iter().take(INPUTS_MAX) {
        h.fill("<details><summary>{} {} <code>{}</code></summary>", &[&i.kind, &i.path, &i.sha256]);
        h.raw("<pre tabindex=\"0\"><code>").escaped(&i.text, left).raw("</code></pre></details>");
        left = left.saturating_sub(i.text.len());
    }
    if inputs.len() > INPUTS_MAX {
        h.fill("<p class=\"note\">{} more are in the record.</p>", &[&(inputs.len() - INPUTS_MAX)]);
    }
    h.raw("</details>");
}

/// When each mark was due and when it was made, where the record says both.
fn marks(h: &mut Html, run: &Run) {
    if run.marks.iter().all(|m| m.planned_s.is_none()) {
        return;
    }
    let late = run.marks.iter().filter(|m| m.late_s().is_some_and(|s| s.abs() > LATE_S)).count();
    h.raw(if late > 0 { "<details class=\"marks\" open>" } else { "<details class=\"marks\">" });
    h.raw("<summary>Marks, planned and made");
    if late > 0 {
        h.fill(": {} not on time", &[&late]);
    }
    h.raw(
        "</summary><table><thead><tr><th scope=\"col\">mark</th><th scope=\"col\" class=\"n\">planned</th>",
    );
    h.raw("<th scope=\"col\" class=\"n\">made</th><th scope=\"col\" class=\"n\">late, s</th></tr></thead><tbody>");
    for m in run.marks.iter().take(ROWS_MAX) {
        let class = if m.late_s().is_some_and(|s| s.abs() > LATE_S) { "bad" } else { "" };
        let planned = m.planned_s.map_or_else(|| "–".to_owned(), clock);
        let late = m.late_s().map_or_else(|| "–".to_owned(), |s| format!("{s:.2}"));
        h.fill("<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td>", &[&m.name, &planned]);
        h.fill("<td class=\"n\">{}</td><td class=\"n {}\">{}</td></tr>", &[&clock(m.at_s), &class, &late]);
    }
    h.raw("</tbody></table>");
    if run.marks.len() > ROWS_MAX {
        h.fill("<p class=\"note\">{} more marks are in the record.</p>", &[&(run.marks.len() - ROWS_MAX)]);
    }
    h.raw("</details>");
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
