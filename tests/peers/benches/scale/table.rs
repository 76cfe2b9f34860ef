//! What is printed of a run.

use std::time::Duration;

use peers::usage::Figures;

use crate::bed::Bed;
use crate::rows::{RATES, REPLICAS};
use crate::steps::{Followed, Taken};

fn seconds(all: &[Followed], of: impl Fn(&Followed) -> Option<Duration>) -> Option<Figures> {
    let values: Vec<f64> = all.iter().filter_map(|one| Some(of(one)?.as_secs_f64())).collect();
    (!values.is_empty()).then(|| Figures::new(values))
}

fn cell(figures: Option<&Figures>) -> String {
    figures.map_or("–".to_owned(), |f| {
        format!("{f:.2}, p95 {:.2}, p99 {:.2}", f.quantile(0.95), f.quantile(0.99))
    })
}

/// How many times longer the HPA takes, by the medians.
fn ratio(hpa: Option<&Figures>, row: Option<&Figures>) -> String {
    hpa.zip(row).map_or("–".to_owned(), |(hpa, row)| format!("{:.1}", hpa.median() / row.median()))
}

pub(crate) fn print(bed: &Bed, taken: &Taken) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "\n{} steps from {} to {} requests a second; pauses of up to {:?} before each change by seed {}; load of the machine {}",
        taken.bound.len().max(taken.rows.first().map_or(0, |(_, all)| all.len())),
        RATES.0,
        RATES.1,
        taken.period,
        taken.seed,
        load.trim()
    );
    println!("Every row went from {} to {} replicas and back at every step.", REPLICAS.0, REPLICAS.1);
    if let Some(adapter) = &bed.adapter {
        println!("The HPA's metric was asked for {} times.", adapter.answered());
    }
    println!("Seconds: median (least..most). HPA/row: of the medians, first raise and full value.\n");
    println!("Behind s: first raise, after the bound's of the same step saw a value that asks for it.\n");
    println!("| row | first raise | behind s | full value | back down | HPA/row |");
    println!("|---|--:|--:|--:|--:|--:|");
    let first = |all: &[Followed]| seconds(all, |one| Some(one.first));
    let full = |all: &[Followed]| seconds(all, |one| Some(one.full));
    let hpa = taken.rows.iter().find(|(kind, _)| kind.is_hpa()).map(|(_, all)| all.as_slice());
    let (hpa_first, hpa_full) = (hpa.and_then(first), hpa.and_then(full));
    let line = |name: &str, title: &str, all: &[Followed]| {
        let (first, full) = (first(all), full(all));
        let behind =
            all.iter().zip(&taken.bound).map(|(one, s)| one.first.as_secs_f64() - s.first.as_secs_f64());
        let behind: Vec<f64> = behind.collect();
        let behind = (!behind.is_empty()).then(|| Figures::new(behind));
        println!(
            "| {name}: {title} | {} | {} | {} | {} | {}, {} |",
            cell(first.as_ref()),
            cell(behind.as_ref()),
            cell(full.as_ref()),
            seconds(all, |one| one.back).map_or("–".to_owned(), |f| format!("{f:.2}")),
            ratio(hpa_first.as_ref(), first.as_ref()),
            ratio(hpa_full.as_ref(), full.as_ref()),
        );
    };
    for (kind, all) in &taken.rows {
        line(kind.name(), kind.title(), all);
    }
    line("s", "bound: asks that Prometheus every 20 ms, decides at once", &taken.bound);
}
