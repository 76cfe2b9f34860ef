//! Trials of several sides as one table.

use std::fmt;

use peers::usage::Figures;

use crate::side::{Kind, Trial};

/// What a row says, how it is told, and its digits.
type Row = (&'static str, fn(&Trial) -> f64, usize);

const ROWS: [Row; 9] = [
    ("processor seconds a million samples, known series", |t| t.steady_cpu_s, 2),
    ("thereof the process that is written to", |t| t.front_cpu_s, 2),
    ("thousand samples a second, known series", |t| t.steady_rate, 0),
    ("processor milliseconds to make a thousand series", |t| t.create_cpu_ms, 1),
    ("resident memory before any write, MiB", |t| t.rss_mib[0], 0),
    ("… with every series, one sample each", |t| t.rss_mib[1], 0),
    ("… with all samples", |t| t.rss_mib[2], 0),
    ("… at most", |t| t.rss_mib[3], 0),
    ("log on disk, bytes a sample", |t| t.log_bytes, 1),
];

/// Trials of one layout, by side.
pub(crate) struct Table {
    sides: Vec<(Kind, Vec<Trial>)>,
    /// Whether the subject is more than one process.
    routed: bool,
}

impl Table {
    pub(crate) fn new(sides: &[Kind], routed: bool) -> Self {
        Self { sides: sides.iter().map(|kind| (*kind, Vec::new())).collect(), routed }
    }

    pub(crate) fn add(&mut self, kind: Kind, trial: Trial) {
        for (_, trials) in self.sides.iter_mut().filter(|(k, _)| *k == kind) {
            trials.push(trial);
        }
    }

    fn figures(&self, of: fn(&Trial) -> f64) -> Vec<Figures> {
        self.sides.iter().map(|(_, trials)| Figures::new(trials.iter().map(of).collect())).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "|")?;
        for (kind, _) in &self.sides {
            write!(f, " | {}", kind.name())?;
        }
        for (kind, _) in &self.sides[1..] {
            write!(f, " | ours / {}", kind.name())?;
        }
        writeln!(f, " |\n|---{} |", "|--:".repeat(self.sides.len() * 2 - 1))?;
        for (nth, (name, of, digits)) in ROWS.into_iter().enumerate() {
            if nth == 1 && !self.routed {
                continue;
            }
            write!(f, "| {name}")?;
            let figures = self.figures(of);
            for one in &figures {
                write!(f, " | {one:.digits$}")?;
            }
            for other in &figures[1..] {
                write!(f, " | {:.2}", figures[0].median() / other.median())?;
            }
            writeln!(f, " |")?;
        }
        for ((kind, _), sender) in self.sides.iter().zip(self.figures(|t| t.sender_cpu_s)) {
            let share = sender.median() * self.rate(*kind) / 1000.0;
            writeln!(f, "sender to {}: {:.0}% of a core", kind.name(), share * 100.0)?;
        }
        Ok(())
    }
}

impl Table {
    fn rate(&self, kind: Kind) -> f64 {
        let trials = self.sides.iter().filter(|(k, _)| *k == kind).flat_map(|(_, trials)| trials);
        Figures::new(trials.map(|t| t.steady_rate).collect()).median()
    }
}
