//! `gauntlet autoscaler replay`: every record of a run decided again by this release.
//!
//! ```text
//!  folders, files ─► walk: by policy, in time order ─► compare: decided again, and what one hands to the next ─► sum
//! ```
//!
//! One record is in memory at a time, and the one before it of the same policy.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use autoscaler_core::{Recorded, replay};
use sha2::{Digest as _, Sha256};
use thanos_telemetry::{RunError, cli};

use crate::clock::timestamp;

mod compare;
mod walk;

use compare::{Carried, Handed};
use walk::{File, Place};

/// Exit code for records that are decided otherwise.
const DIFFERENT: u8 = 1;
/// Records whose differences are told; of others only how many there are.
const TOLD_MAX: usize = 20;
/// How often it is said how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// Flags of `gauntlet autoscaler replay`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A controller's --records-dir or a copy of it, any folder below it, or files of records
    #[arg(required = true, value_name = "DIR|FILE")]
    pub paths: Vec<PathBuf>,
}

/// Decides every record again, tells what differs, and sums up.
///
/// # Errors
/// [`RunError::Verdict`] with code 1 if any record is decided otherwise; [`RunError::Config`] if a path or a record
/// cannot be read, or there is none.
pub(crate) fn run(args: &Args) -> Result<(), RunError> {
    let mut sum = Sum::default();
    let mut said = Instant::now();
    for path in &args.paths {
        let places = walk::places(path).map_err(|e| RunError::Config(format!("{}: {e}", path.display())))?;
        for place in places {
            let mut before = None;
            let files =
                place.files().map_err(|e| RunError::Config(format!("{}: {e}", place.path().display())))?;
            for file in files {
                let lines = sum.take(&place, &file, &mut before);
                crate::print(&lines)?;
                if said.elapsed() >= PROGRESS {
                    progress(&sum);
                    said = Instant::now();
                }
            }
        }
    }
    sum.end(&args.paths)
}

/// What was found so far.
#[derive(Debug, Default)]
struct Sum {
    records: usize,
    policies: std::collections::BTreeSet<PathBuf>,
    /// When the first and the last were decided, in milliseconds since the epoch.
    span_ms: Option<(i64, i64)>,
    writes: usize,
    different: usize,
    older: usize,
    unreadable: usize,
    whole: usize,
    between: usize,
    anew: usize,
}

impl Sum {
    /// Decides one again; gives what is to be told of it.
    fn take(&mut self, place: &Place, file: &File, before: &mut Option<Handed>) -> String {
        let shown = file.path.display();
        let text = match cli::read_config(&file.path) {
            Ok(text) => text,
            // A controller that still runs removes its oldest.
            Err(_) if !file.path.exists() => return String::new(),
            Err(error) => return self.unreadable(&error.to_string(), before),
        };
        let replayed = match replay(text.trim().as_bytes()) {
            Ok(replayed) => replayed,
            Err(error) => return self.unreadable(&format!("{shown}: {error}"), before),
        };
        self.records += 1;
        self.policies.extend(place.is_policy().then(|| place.path().to_owned()));
        let at_ms = replayed.input.now_ms;
        let (first, last) = self.span_ms.unwrap_or((at_ms, at_ms));
        self.span_ms = Some((first.min(at_ms), last.max(at_ms)));
        self.writes += usize::from(replayed.recorded.replicas().1.is_some());

        let mut found = Vec::new();
        if file.digest.is_some_and(|digest| Sha256::digest(text.as_bytes()).as_slice() != digest) {
            found.push("the file is not the one that its name has the digest of".to_owned());
        }
        match &replayed.recorded {
            Recorded::Current(recorded) => {
                if !replayed.identical {
                    found.extend(compare::differences(recorded, &replayed.decision));
                }
                if let Some(before) = before.as_ref().filter(|_| place.is_policy()) {
                    match compare::carried(before, &replayed.input.history) {
                        Carried::Whole => self.whole += 1,
                        Carried::Between => self.between += 1,
                        Carried::Anew => self.anew += 1,
                        Carried::Otherwise(lines) => found.extend(lines),
                    }
                }
                *before = Some(Handed::of(&replayed.input, recorded));
            }
            Recorded::Older(older) => {
                // Its rules were others: neither the same nor a difference.
                self.older += 1;
                *before = None;
                let (then, now) = (older.desired_replicas, replayed.decision.desired_replicas);
                if then != now {
                    found.push(format!(
                        "version {}: {then} replicas then, {now} by today's rules",
                        older.version
                    ));
                }
                return if found.is_empty() { String::new() } else { told(&file.path, &found) };
            }
        }
        if found.is_empty() {
            return String::new();
        }
        self.different += 1;
        if self.different > TOLD_MAX { String::new() } else { told(&file.path, &found) }
    }

    fn unreadable(&mut self, why: &str, before: &mut Option<Handed>) -> String {
        (self.unreadable, *before) = (self.unreadable + 1, None);
        if self.unreadable > TOLD_MAX { String::new() } else { format!("{why}\n") }
    }

    /// Sums up, and judges.
    fn end(&self, paths: &[PathBuf]) -> Result<(), RunError> {
        if self.different > TOLD_MAX {
            crate::print(&format!("and {} more that differ\n", self.different - TOLD_MAX))?;
        }
        crate::print(&self.in_words())?;
        if self.unreadable > 0 {
            let records = many(self.unreadable, "record", "records");
            return Err(RunError::Config(format!("{records} cannot be read")));
        }
        if self.records == 0 {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return Err(RunError::Config(format!("{}: there is no decision record", paths.join(", "))));
        }
        if self.different > 0 {
            let message = format!("{} of {} records are decided otherwise", self.different, self.records);
            return Err(RunError::Verdict { code: DIFFERENT, message });
        }
        Ok(())
    }

    fn in_words(&self) -> String {
        let Some((from_ms, to_ms)) = self.span_ms else { return String::new() };
        let mut lines = format!(
            "Replayed {} of {}, from {} to {}; {} of them write replicas.\n",
            many(self.records, "record", "records"),
            many(self.policies.len(), "policy", "policies"),
            timestamp(from_ms),
            timestamp(to_ms),
            self.writes
        );
        lines += &format!(
            "What one hands to the next: the same {} times, over decisions without a record {} times, begun anew {} \
             times.\n",
            self.whole, self.between, self.anew
        );
        if self.older > 0 {
            lines += &format!("{} are of an older version, and held to nothing.\n", self.older);
        }
        let same = self.records - self.older - self.different;
        lines + &format!("{same} are the same bytes, {} differ.\n", self.different)
    }
}

fn many(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn told(path: &std::path::Path, found: &[String]) -> String {
    let lines: String = found.iter().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{lines}", path.display())
}

/// Says how far it is.
fn progress(sum: &Sum) {
    #[expect(clippy::print_stderr, reason = "apart from what is found, which may go into a file")]
    {
        eprintln!("replayed {} so far", many(sum.records, "record", "records"));
    }
}

#[cfg(test)]
mod tests;
