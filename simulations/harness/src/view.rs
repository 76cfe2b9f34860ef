//! What is told while it runs: a live block on a terminal, plain lines, or a JSON object a line.
//!
//! ```text
//!  journal ─► state (the newest of everything) ─► live: a block that is redrawn
//!     │                                   └─────► text: what changed, in words
//!     └─────► record::Line ─► JSON, where a program reads
//! ```

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use simulations_judge::record::{self, Line, RunRecord, StartLine};
use simulations_judge::rows::Row;
use simulations_judge::timeline::{Event, Timeline};

use crate::journal::Journal;

mod live;
mod state;
mod teller;
mod text;

use live::Live;
use state::State;
pub use teller::Teller;

/// On plain output the load is told this often; what changes is told at once.
const PLAIN_LOAD_EVERY_S: u64 = 5;

/// How a run is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// `live` where standard output is a terminal, else `json`.
    #[default]
    Auto,
    /// A block that is redrawn each second, and what changed above it; `text` where there is no terminal.
    Live,
    /// What changed, in plain lines.
    Text,
    /// One JSON object a line on standard output; what people read goes to standard error.
    Json,
}

/// Tells a run as it goes.
#[derive(Debug)]
pub struct View {
    way: Way,
    told: usize,
    state: State,
}

#[derive(Debug)]
enum Way {
    Live(Live),
    Text,
    Json,
}

impl View {
    /// A view on standard output.
    pub fn new(output: Output) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let way = match output {
            Output::Live | Output::Auto if terminal => Way::Live(Live::new()),
            Output::Live | Output::Text => Way::Text,
            Output::Auto | Output::Json => Way::Json,
        };
        Self { way, told: 0, state: State::default() }
    }

    /// A line for people, that stays.
    pub fn say(&self, line: &str) {
        match &self.way {
            Way::Live(live) => live.say(line),
            // Writing fails only where nobody reads any more.
            Way::Text => drop(writeln!(std::io::stdout(), "{line}")),
            Way::Json => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// What is about to run, and where it can be looked at.
    pub fn start(&mut self, start: StartLine) {
        self.say(&format!("\nquerier     {}", start.querier_url));
        self.say(&format!("dashboard   {}/ui/", start.querier_url));
        for (cluster, url) in &start.api_urls {
            self.say(&format!("api server  {url} ({cluster})"));
        }
        let first = start.clusters.first().map_or("", String::as_str);
        self.say(&format!(
            "kubectl     KUBECONFIG={} kubectl --context {first} get scalingpolicies -A",
            start.kubeconfig
        ));
        for (load, stages) in state::loads(&start.stages) {
            let stages: Vec<String> = stages.iter().map(|s| state::stage(s)).collect();
            let name = if load.is_empty() { String::new() } else { format!("{load}: ") };
            self.say(&format!(
                "load        {name}{}; requests per second and cluster, seed {}",
                stages.join(", "),
                start.seed
            ));
        }
        self.say("");
        self.write(|| Some(Line::Start(start.clone())));
        self.state.plan(start);
    }

    /// Tells what is new in the journal.
    pub fn second(&mut self, journal: &Journal) {
        let new = journal.read(|t| t.events().get(self.told..).unwrap_or_default().to_vec());
        self.tell(&new);
        let at = journal.elapsed();
        for line in self.state.overdue() {
            if !matches!(self.way, Way::Json) {
                self.say(&format!("{:>6.1}s  {line}", at.as_secs_f64()));
            }
        }
        match &mut self.way {
            Way::Live(live) => live.draw(&self.state.lines(at)),
            Way::Text if at.as_secs().is_multiple_of(PLAIN_LOAD_EVERY_S) => {
                self.say(&format!("{:>6.1}s  {}", at.as_secs_f64(), self.state.load_line()));
            }
            Way::Text | Way::Json => {}
        }
    }

    fn tell(&mut self, new: &[(Duration, Event)]) {
        self.told += new.len();
        for (at, event) in new {
            self.write(|| record::event(*at, event).map(Line::Event));
            let line = self.state.take(event);
            // A program has read the event itself.
            if let Some(line) = line.filter(|_| !matches!(self.way, Way::Json)) {
                self.say(&format!("{:>6.1}s  {line}", at.as_secs_f64()));
            }
        }
    }

    /// A line for programs.
    fn write(&self, line: impl FnOnce() -> Option<Line>) {
        if matches!(self.way, Way::Json)
            && let Some(line) = line()
            && let Ok(json) = serde_json::to_string(&line)
        {
            drop(writeln!(std::io::stdout(), "{json}"));
        }
    }

    /// Tells the rest of what happened and ends the live block; what follows is plain.
    pub fn end(&mut self, timeline: &Timeline) {
        self.tell(timeline.events().get(self.told..).unwrap_or_default());
        self.finish();
    }

    /// Ends the live block.
    pub fn finish(&mut self) {
        if let Way::Live(live) = &mut self.way {
            live.finish();
            self.way = Way::Text;
        }
    }

    /// How it ended, as the last line for programs.
    pub fn verdict_line(&self, record: &RunRecord) {
        self.write(|| Some(Line::Verdict(record.into())));
    }

    /// The verdict as a table.
    pub fn verdict(&self, rows: &[Row]) {
        let width = rows.iter().map(|r| r.expectation.chars().count()).max().unwrap_or(0);
        self.say("");
        for r in rows {
            let mark = if r.held { "held  " } else { "FAILED" };
            self.say(&format!("  {mark}  {:<width$}  {}", r.expectation, r.found));
        }
    }

    /// What a reader should know beside the verdict.
    pub fn warnings(&self, warnings: &[String]) {
        for warning in warnings {
            self.say(&format!("\nwarning: {warning}"));
        }
    }

    /// What happened to each workload, as a table.
    pub fn summary(&self, timeline: &Timeline) {
        self.say("");
        self.say("  workload            first  most  last   changes of wanted replicas (seconds: replicas)");
        for target in timeline.targets() {
            let mut changes: Vec<(Duration, i32)> = Vec::new();
            for (at, wanted, _) in timeline.replicas(&target) {
                if changes.last().is_none_or(|(_, w)| *w != wanted) {
                    changes.push((at, wanted));
                }
            }
            let (Some(first), Some(last)) = (changes.first(), changes.last()) else { continue };
            if changes.len() == 1 {
                continue;
            }
            let most = changes.iter().map(|c| c.1).max().unwrap_or_default();
            let told: Vec<String> =
                changes[1..].iter().map(|(at, w)| format!("{:.0}: {w}", at.as_secs_f64())).collect();
            let name = format!("{}/{}", target.0, target.1);
            self.say(&format!("  {name:<18} {:>6} {most:>5} {:>5}   {}", first.1, last.1, told.join(", ")));
        }
        for (_, e) in timeline.events() {
            if let Event::LoadTotal { cluster, load, stage: None, recorder, .. } = e {
                let s = recorder.summary();
                let name = format!("{cluster}, {load}");
                self.say(&format!(
                    "  {name:<18} {} requests, {} failed, {} not sent; latency p50 {:.0} ms, p95 {:.0} ms, \
                     p99 {:.0} ms, max {:.0} ms",
                    s.planned,
                    s.failed,
                    s.dropped,
                    s.latency_p50_ms,
                    s.latency_p95_ms,
                    s.latency_p99_ms,
                    s.latency_max_ms
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
