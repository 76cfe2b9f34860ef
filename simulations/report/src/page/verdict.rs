//! What was asked and whether it held.

use std::fmt::Display;

use crate::alike::void;
use crate::html::Html;
use crate::page::{column, letter};
use crate::record::Row;
use crate::run::Run;
use crate::scale::clock;

/// Rows of one verdict that are shown; no scenario written by a person has as many.
const ROWS_MAX: usize = 500;

/// Warnings that are shown.
const WARNINGS_MAX: usize = 50;

/// The verdict: a list for one run, a matrix for several.
pub(crate) fn html(runs: &[Run]) -> Html {
    let mut h = Html::new();
    match runs {
        [run] => {
            column(&mut h, runs, 0);
            if run.record.aborted_by.is_none()
                && let Some(why) = void(&run.record)
            {
                h.fill("<p class=\"warn\">This is no verdict on the policy: {}.</p>", &[&why]);
            }
            aborted(&mut h, run, &"This run");
            counterexample(&mut h, run);
            warnings(&mut h, run);
            one(&mut h, &run.record.rows);
            h.raw("</div>");
        }
        _ => {
            for (i, run) in runs.iter().enumerate() {
                if run.record.aborted_by.is_none()
                    && let Some(why) = void(&run.record)
                {
                    h.fill("<p class=\"warn\"><b class=\"letter\">{}</b> {}.</p>", &[&letter(i), &why]);
                }
                aborted(&mut h, run, &format_args!("Run {}", letter(i)));
                counterexample(&mut h, run);
                if !run.record.warnings.is_empty() {
                    h.fill("<p class=\"which\"><b class=\"letter\">{}</b></p>", &[&letter(i)]);
                    warnings(&mut h, run);
                }
            }
            matrix(&mut h, runs);
        }
    }
    h
}

/// The threshold that ended a run.
fn aborted(h: &mut Html, run: &Run, which: &dyn Display) {
    let Some(by) = &run.record.aborted_by else { return };
    let at = clock(run.record.duration_s);
    h.fill("<p class=\"warn\">{} ended early, after {}, by the threshold <b>{}</b>. ", &[which, &at, by]);
    h.raw("The figures are of what ran until then.</p>");
}

/// What a reader should know, and what changes no row.
fn warnings(h: &mut Html, run: &Run) {
    let all = &run.record.warnings;
    if all.is_empty() {
        return;
    }
    h.fill("<details class=\"warnings\" open><summary>Warnings: {}</summary><ul>", &[&all.len()]);
    for warning in all.iter().take(WARNINGS_MAX) {
        h.fill("<li>{}</li>", &[warning]);
    }
    h.raw("</ul>");
    if all.len() > WARNINGS_MAX {
        h.fill("<p class=\"note\">{} more are in the record.</p>", &[&(all.len() - WARNINGS_MAX)]);
    }
    h.raw("</details>");
}

/// What had to fail, and whether it did: there a red row is what was wanted.
fn counterexample(h: &mut Html, run: &Run) {
    let Some(c) = &run.record.counterexample else { return };
    h.fill("<p class=\"note\"><b>Counterexample {}</b>: {}. Wanted: ", &[&c.name, &c.why]);
    for (i, row) in c.rows.iter().take(ROWS_MAX).enumerate() {
        h.raw(if i > 0 { ", " } else { "" });
        let word = if row.held { "✓ it did" } else { "✗ it did not" };
        h.fill("<b>{}</b> {}", &[&row.expectation, &word]);
    }
    h.raw(".</p>");
}

fn count(h: &mut Html, rows: &[Row]) {
    let open = rows.iter().filter(|r| r.open()).count();
    let failed = rows.iter().filter(|r| !r.held && !r.open()).count();
    match (rows.len(), failed) {
        (0, _) => h.raw("<p class=\"empty\">This scenario asked for nothing.</p>"),
        (_, 0) if open > 0 => h,
        (n, 0) => h.fill("<p>All {} thresholds held.</p>", &[&n]),
        (n, f) => h.fill("<p><strong>{} of {} thresholds did not hold.</strong></p>", &[&f, &n]),
    };
    if open > 0 {
        h.fill("<p class=\"note\">Not reached: {}.</p>", &[&open]);
    }
}

fn sign(h: &mut Html, row: &Row) {
    h.raw(if row.open() {
        "<span class=\"odd sign\"><span aria-hidden=\"true\">–</span> not reached</span>"
    } else if row.held {
        "<span class=\"good sign\"><span aria-hidden=\"true\">✓</span> held</span>"
    } else {
        "<span class=\"bad sign\"><span aria-hidden=\"true\">✗</span> failed</span>"
    });
}

fn one(h: &mut Html, rows: &[Row]) {
    count(h, rows);
    if rows.is_empty() {
        return;
    }
    h.raw("<table class=\"cards verdicts\"><thead><tr><th scope=\"col\">verdict</th><th scope=\"col\">threshold");
    h.raw("</th><th scope=\"col\">found</th></tr></thead><tbody>");
    // What failed is what one came for.
    for (held, open) in [(false, false), (false, true), (true, false)] {
        for row in rows.iter().take(ROWS_MAX).filter(|r| (r.held, r.open()) == (held, open)) {
            h.raw(if held || open { "<tr><td>" } else { "<tr class=\"failed\"><td>" });
            sign(h, row);
            h.fill("</td><td>{}</td><td class=\"found\">{}</td></tr>", &[&row.expectation, &row.found]);
        }
    }
    h.raw("</tbody></table>");
    left_out(h, rows.len());
}

fn left_out(h: &mut Html, rows: usize) {
    if rows > ROWS_MAX {
        h.fill("<p class=\"note\">{} more are in the record.</p>", &[&(rows - ROWS_MAX)]);
    }
}

/// A row for each threshold that any run was judged by.
fn matrix(h: &mut Html, runs: &[Run]) {
    let mut asked: Vec<&str> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for row in runs.iter().flat_map(|r| &r.record.rows) {
        if seen.insert(row.expectation.as_str()) {
            asked.push(&row.expectation);
        }
    }
    if asked.is_empty() {
        h.raw("<p class=\"empty\">These scenarios asked for nothing.</p>");
        return;
    }
    // What failed anywhere is what one came for.
    let failed: std::collections::BTreeSet<&str> = runs
        .iter()
        .flat_map(|r| &r.record.rows)
        .filter(|r| !r.held)
        .map(|r| r.expectation.as_str())
        .collect();
    asked.sort_by_key(|expectation| !failed.contains(expectation));
    h.raw("<table class=\"cards\"><thead><tr><th scope=\"col\">threshold</th>");
    for i in 0..runs.len() {
        h.fill("<th scope=\"col\"><b class=\"letter\">{}</b></th>", &[&letter(i)]);
    }
    h.raw("</tr></thead><tbody>");
    for expectation in asked.iter().take(ROWS_MAX) {
        h.fill("<tr><th scope=\"row\">{}</th>", &[expectation]);
        for (i, run) in runs.iter().enumerate() {
            h.fill("<td data-run=\"{}\">", &[&letter(i)]);
            match run.record.rows.iter().find(|r| r.expectation == **expectation) {
                Some(row) => {
                    sign(h, row);
                    h.fill(" <span class=\"found\">{}</span>", &[&row.found]);
                }
                None => {
                    h.raw("<span class=\"found\">not asked</span>");
                }
            }
            h.raw("</td>");
        }
        h.raw("</tr>");
    }
    h.raw("</tbody></table>");
    left_out(h, asked.len());
}
