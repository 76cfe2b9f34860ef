//! What remote write costs in our Receive, in Thanos Receive and in Prometheus:
//! `cargo bench -p peers --bench receive`; `cargo bench -p peers --bench receive -- quick` for a first look. Further
//! words (`pinned`, `free`, `routed`, `ours`, `thanos`, `prometheus`) leave out layouts and sides that are not named.
//!
//! ```text
//!  core 0: 4 senders ─► core 1: ours | thanos receive | prometheus --web.enable-remote-write-receiver
//!                       core 1: router ─► ingestor, each ours or Thanos'
//! ```
//!
//! A mesh of 20 000 series, a sample of each a second, 150 rounds, as remote write 1.0, encoded before any clock
//! starts: the same bytes to every side, in the same order, each sender's next request as soon as the last is
//! answered. The first round makes the series and is told apart. A trial is a fresh process with an empty folder;
//! repetitions go round the sides. After each, the side is asked (ours and Thanos' through a real Thanos Querier,
//! Prometheus itself) for counts and sums at three times, and these have to be what was sent.

#![expect(clippy::print_stdout, reason = "a benchmark's figures")]

mod check;
mod cores;
mod load;
mod population;
mod side;
mod table;

use load::{Load, SENDERS, SERIES_PER_REQUEST};
use side::{Kind, Layout};
use table::Table;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROUNDS: u64 = 150;
const LAYOUTS: [(Layout, &str, &[Kind]); 3] = [
    (
        Layout::Pinned,
        "one process, all its threads on core 1; senders on core 0",
        &[Kind::Ours, Kind::Thanos, Kind::Prometheus],
    ),
    (
        Layout::Free,
        "one process and senders, both on both cores",
        &[Kind::Ours, Kind::Thanos, Kind::Prometheus],
    ),
    (
        Layout::Routed,
        "router and ingestor, both on core 1, a ring of one with one copy; senders on core 0; figures of both together",
        &[Kind::Ours, Kind::Thanos],
    ),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with("--")).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    if peers::built(["thanos", "prometheus"]).is_none() {
        return Ok(());
    }
    let repetitions = if has("quick") { 1 } else { 5 };
    let load = Load::encode(ROUNDS)?;
    let (requests, bytes) = load.bodies().fold((0, 0), |(n, bytes), body| (n + 1, bytes + body.len()));
    println!(
        "{} series, {ROUNDS} rounds, {requests} requests of {SERIES_PER_REQUEST} series and {} KiB on average, \
         {SENDERS} senders; median of {repetitions} (least..most)",
        load.series.len(),
        bytes / requests / 1024,
    );
    // Its only thread is this one, so that whatever is started from it inherits the cores.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&load, repetitions, &words))
}

async fn measure(load: &Load, repetitions: usize, words: &[String]) -> Result<()> {
    let layouts =
        LAYOUTS.iter().filter(|(layout, ..)| named(words, LAYOUTS.map(|l| l.0.word()), layout.word()));
    for (layout, name, sides) in layouts {
        let all = [Kind::Ours, Kind::Thanos, Kind::Prometheus].map(Kind::word);
        let sides: Vec<Kind> = sides.iter().copied().filter(|kind| named(words, all, kind.word())).collect();
        if sides.is_empty() {
            continue;
        }
        let mut table = Table::new(&sides, *layout == Layout::Routed);
        for _ in 0..repetitions {
            for kind in &sides {
                table.add(*kind, side::trial(load, *kind, *layout).await?);
            }
        }
        println!("\n{name}:\n\n{table}");
    }
    println!("every answer about counts and sums was what was sent, in each of these trials");
    Ok(())
}

/// Whether `one` of `all` was asked for: by name, or because none was named.
fn named(words: &[String], all: [&str; 3], one: &str) -> bool {
    let has = |name: &str| words.iter().any(|w| w == name);
    has(one) || !all.into_iter().any(has)
}
