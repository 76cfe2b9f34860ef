//! What a person sees while it runs: a live block on a terminal, plain lines anywhere else.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::judge::Row;
use crate::observe::Journal;
use crate::timeline::{Event, PolicyState, Target, Timeline};

/// On plain output the load is told this often; what changes is told at once.
const PLAIN_LOAD_EVERY_S: u64 = 5;

/// Writes to standard output.
#[derive(Debug)]
pub struct View {
    live: Option<Live>,
    told: usize,
    state: State,
}

#[derive(Debug)]
struct Live {
    screen: MultiProgress,
    lines: Vec<ProgressBar>,
}

/// The newest of everything.
#[derive(Debug, Default)]
struct State {
    replicas: BTreeMap<Target, (i32, i32)>,
    policies: BTreeMap<Target, PolicyState>,
    /// By cluster and load.
    load: BTreeMap<(String, String), simulations_load::generator::Progress>,
}

impl View {
    /// A live block where standard output is a terminal.
    pub fn new() -> Self {
        let live = std::io::stdout().is_terminal().then(|| Live {
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stdout()),
            lines: Vec::new(),
        });
        Self { live, told: 0, state: State::default() }
    }

    /// A line that stays.
    pub fn say(&self, line: &str) {
        match &self.live {
            // Fails only where the terminal is gone.
            Some(live) => drop(live.screen.println(line)),
            None => drop(writeln!(std::io::stdout(), "{line}")),
        }
    }

    /// Tells what is new in the journal.
    pub fn second(&mut self, journal: &Journal) {
        let new: Vec<(Duration, Event)> =
            journal.read(|t| t.events().get(self.told..).unwrap_or_default().to_vec());
        self.told += new.len();
        for (i, (at, event)) in new.iter().enumerate() {
            // The replicas change first and the policy says why a moment later: look ahead for it.
            if let Event::Replicas { target, .. } = event {
                let said = new[i..].iter().rev().find_map(|(_, e)| match e {
                    Event::Policy { target: t, state } if t == target => Some(state.cause.clone()),
                    _ => None,
                });
                if let Some(cause) = said {
                    self.state.policies.entry(target.clone()).or_default().cause = cause;
                }
            }
            if let Some(line) = self.state.take(event.clone()) {
                self.say(&format!("{:>6.1}s  {line}", at.as_secs_f64()));
            }
        }
        let lines = self.state.lines();
        match &mut self.live {
            Some(live) => live.draw(&lines),
            None if journal.elapsed().as_secs().is_multiple_of(PLAIN_LOAD_EVERY_S) => {
                self.say(&format!("{:>6.1}s  {}", journal.elapsed().as_secs_f64(), self.state.load_line()));
            }
            None => {}
        }
    }

    /// Ends the live block; what follows is plain.
    pub fn finish(&mut self) {
        if let Some(live) = self.live.take() {
            for line in &live.lines {
                line.finish_and_clear();
            }
        }
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

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    fn draw(&mut self, lines: &[String]) {
        while self.lines.len() < lines.len() {
            // The template is a constant; the default would only show a bar instead of the text.
            let style =
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.lines.push(self.screen.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (bar, line) in self.lines.iter().zip(lines) {
            bar.set_message(line.clone());
            bar.tick();
        }
    }
}

impl State {
    /// Keeps it; returns a line where it is worth one.
    fn take(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Mark(name) => Some(format!("── {name} ──")),
            Event::Replicas { target, wanted, ready } => {
                let before = self.replicas.insert(target.clone(), (wanted, ready));
                let (before, _) = before.filter(|(w, _)| *w != wanted)?;
                let cause = self.policies.get(&target).map(|p| p.cause.as_str()).unwrap_or_default();
                Some(format!("{}/{}: {before} → {wanted} replicas. {cause}", target.0, target.1))
            }
            Event::Policy { target, state } => {
                let before = self.policies.insert(target.clone(), state.clone());
                let turned =
                    before.is_some_and(|b| b.sufficient.is_some() && b.sufficient != state.sufficient);
                let word = if state.sufficient == Some(true) { "trusts" } else { "does not trust" };
                turned.then(|| format!("{}/{} {word} its evidence: {}", target.0, target.1, state.evidence))
            }
            Event::Load { cluster, load, progress, .. } => {
                self.load.insert((cluster, load), progress);
                None
            }
            Event::Restart { container, count } => Some(format!("{container} started again ({count})")),
            Event::LoadTotal { .. } | Event::Slo { .. } | Event::Decision { .. } => None,
        }
    }

    fn load_line(&self) -> String {
        let told: Vec<String> = self
            .load
            .iter()
            .map(|((cluster, load), p)| {
                let s = &p.second;
                format!(
                    "{cluster}, {load} {:.0} rps, {} ok, {} failed, p50 {:.0} ms, p99 {:.0} ms",
                    p.rate_rps, s.completed, s.failed, s.latency_p50_ms, s.latency_p99_ms
                )
            })
            .collect();
        format!("load: {}", told.join(" | "))
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new(), self.load_line()];
        for (target, (wanted, ready)) in &self.replicas {
            let Some(policy) = self.policies.get(target) else { continue };
            let bar: String =
                (0..(*wanted).max(*ready).clamp(0, 60)).map(|i| if i < *ready { '█' } else { '░' }).collect();
            let name = format!("{}/{}", target.0, target.1);
            lines.push(format!("{name:<14} wanted {wanted:>3}  ready {ready:>3}  {bar}"));
            lines.push(format!("{:<14} {}", "", policy.cause));
        }
        lines
    }
}
