//! Figures as tables in Markdown: median (least..most), and how ours relates to each of theirs.

use peers::usage::Figures;

use crate::fresh::Memory;
use crate::rig::Querier;
use crate::turns::{CLIENTS, Crowded, Turned};

/// Ours divided by theirs; nothing for ours.
fn ratio(ours: Option<&Figures>, theirs: &Figures, querier: Querier) -> String {
    match (querier, ours) {
        (Querier::Thanos | Querier::ThanosEngine, Some(ours)) => {
            format!("{:.2}", ours.median() / theirs.median())
        }
        _ => String::new(),
    }
}

/// The figures of ours for the same query.
fn ours<'a, T>(
    all: &'a [T],
    is: impl Fn(&T) -> bool,
    figures: impl Fn(&'a T) -> &'a Figures,
) -> Option<&'a Figures> {
    all.iter().find(|t| is(t)).map(figures)
}

pub(crate) fn turns(all: &[Turned]) {
    println!(
        "| query | querier | asked | latency, ms | p99, ms | CPU a query, ms | stores' CPU a query, ms | ours / this: latency, CPU |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for t in all {
        let is = |o: &Turned| matches!(o.querier, Querier::Ours) && o.question == t.question;
        let latency = ratio(ours(all, is, |o| &o.latency_ms), &t.latency_ms, t.querier);
        let cpu = ratio(ours(all, is, |o| &o.cpu_ms), &t.cpu_ms, t.querier);
        println!(
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {latency} {cpu} |",
            t.question,
            t.querier,
            t.asked,
            t.latency_ms,
            t.latency_ms.quantile(0.99),
            t.cpu_ms,
            t.stores_cpu_ms
        );
    }
}

pub(crate) fn crowds(all: &[Crowded]) {
    println!("\n{CLIENTS} clients, rate of one deployment:\n");
    println!(
        "| querier | answers a second | latency, ms | p99, ms | CPU a query, ms | stores' CPU a query, ms | ours / this: answers, CPU |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for t in all {
        let is = |o: &Crowded| matches!(o.querier, Querier::Ours);
        let rate = ratio(ours(all, is, |o| &o.rate), &t.rate, t.querier);
        let cpu = ratio(ours(all, is, |o| &o.cpu_ms), &t.cpu_ms, t.querier);
        println!(
            "| {} | {:.0} | {:.1} | {:.1} | {:.2} | {:.2} | {rate} {cpu} |",
            t.querier,
            t.rate,
            t.latency_ms,
            t.latency_ms.quantile(0.99),
            t.cpu_ms,
            t.stores_cpu_ms
        );
    }
}

pub(crate) fn memory(all: &[Memory]) {
    println!("\nResident memory of a process started for one query:\n");
    println!("| query | querier | before, MiB | after, MiB | peak, MiB | ours / this: peak |");
    println!("|---|---|--:|--:|--:|--:|");
    for t in all {
        let is = |o: &Memory| matches!(o.querier, Querier::Ours) && o.question == t.question;
        let peak = ratio(ours(all, is, |o| &o.peak_mib), &t.peak_mib, t.querier);
        println!(
            "| {} | {} | {:.0} | {:.0} | {:.0} | {peak} |",
            t.question, t.querier, t.before_mib, t.after_mib, t.peak_mib
        );
    }
}
