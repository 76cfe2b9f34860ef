//! `gauntlet doctor`: whether the demo would start on this machine, and what to do if not.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use thanos_telemetry::{Context, RunError};

use crate::machine::{self, Delays, Facts};
use crate::preflight::{self, Check, Finding, Needs, size};

/// How long sleepers are watched.
const MEASURED_FOR: Duration = Duration::from_secs(1);
const ROUND_TRIPS: usize = 1000;
/// A generator that is later than this makes no figures.
const LATE: Duration = Duration::from_millis(5);

/// Look whether the demo would start here, and what to do if not.
///
/// Checks loopback addresses, ports that pods need and who holds them, limits, memory and space; measures how late
/// the machine wakes a sleeper. Starts nothing. Exit code 0: it would start; 1: it would not.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Where pods, logs and data would live [default: the folder for temporary files].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// How it is told.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    Text,
    /// One line of JSON.
    Json,
}

/// All that was found.
struct Report {
    checks: Vec<Check>,
    facts: Facts,
    late: Delays,
    round_trips: Option<Delays>,
}

/// Looks at what a world of these `needs` wants (its folder is the flag's), and tells.
///
/// # Errors
/// [`RunError::Verdict`] with exit code 1: it would not start.
pub async fn doctor(args: DoctorArgs, needs: Needs, ctx: Context) -> Result<(), RunError> {
    let needs = Needs { dir: args.dir.clone().unwrap_or_else(std::env::temp_dir), ..needs };
    let looking = tokio::task::spawn_blocking(move || look(&needs));
    let report = tokio::select! {
        report = looking => report.map_err(|e| RunError::Failed(e.into()))?,
        () = ctx.shutdown.started() => return Ok(()),
    };
    let text = match args.output {
        Output::Text => report.text(),
        Output::Json => format!("{}\n", report.json()),
    };
    // A reader that has gone has read enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    match report.fatal().count() {
        0 => Ok(()),
        n => {
            let problems = if n == 1 { "1 problem".into() } else { format!("{n} problems") };
            Err(RunError::Verdict { code: 1, message: format!("{problems}: the demo would not start here") })
        }
    }
}

fn look(needs: &Needs) -> Report {
    let mut checks = preflight::checks(needs);
    let late = machine::wake_ups(MEASURED_FOR);
    checks.push(timers(late));
    Report { checks, facts: machine::facts(), late, round_trips: machine::round_trips(ROUND_TRIPS).ok() }
}

fn timers(late: Delays) -> Check {
    let finding = (late.p99.0 > LATE).then(|| Finding {
        what: format!("who sleeps for a millisecond wakes {} late (p99)", late.p99),
        holder: None,
        cure: "stop other work on this machine, or expect invalid runs (exit code 105)".into(),
        fatal: false,
    });
    Check { name: "timers", detail: format!("late by {late}"), findings: finding.into_iter().collect() }
}

impl Report {
    fn fatal(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|c| &c.findings).filter(|f| f.fatal)
    }

    fn text(&self) -> String {
        let width = self.checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
        let mut text = String::new();
        for check in &self.checks {
            let name = check.name;
            if check.findings.is_empty() {
                text.push_str(&format!("ok       {name:width$}  {}\n", check.detail));
            }
            for finding in &check.findings {
                let word = if finding.fatal { "PROBLEM" } else { "warning" };
                text.push_str(&format!("{word}  {name:width$}  {finding}\n"));
            }
        }
        let memory = |bytes: Option<u64>| bytes.map_or("unknown".into(), size);
        text.push_str(&format!(
            "machine: {} cores, {} of memory ({} to be had), kernel {}\n",
            self.facts.cores,
            memory(self.facts.memory_bytes),
            memory(self.facts.available_memory_bytes),
            self.facts.kernel
        ));
        text.push_str(&format!("a sleep of 1 ms ends late by {}\n", self.late));
        if let Some(round_trips) = self.round_trips {
            text.push_str(&format!("a byte over loopback and back takes {round_trips}\n"));
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "ok": self.fatal().next().is_none(),
            "checks": self.checks,
            "machine": self.facts,
            "wakeUpsUs": self.late,
            "loopbackUs": self.round_trips,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line_and_only_what_is_fatal_keeps_the_demo_away() {
        let late = |ms: u64| Delays { p99: machine::Micros(Duration::from_millis(ms)), ..Delays::default() };
        let finding = |fatal| Finding { what: "x".into(), holder: None, cure: "y".into(), fatal };
        let check = |findings: Vec<Finding>| Check { name: "thing", detail: "fine".into(), findings };
        let report = |findings: Vec<Finding>, ms: u64| Report {
            checks: vec![check(vec![]), check(findings), timers(late(ms))],
            facts: machine::facts(),
            late: late(ms),
            round_trips: None,
        };
        for (report, ok, expected) in [
            (report(vec![], 1), true, vec!["ok", "ok", "ok"]),
            (report(vec![finding(false)], 20), true, vec!["ok", "warning", "warning"]),
            (report(vec![finding(true), finding(true)], 1), false, vec!["ok", "PROBLEM", "PROBLEM", "ok"]),
        ] {
            let text = report.text();
            let words: Vec<&str> =
                text.lines().take(expected.len()).filter_map(|l| l.split_whitespace().next()).collect();
            assert_eq!(words, expected, "{text}");
            assert_eq!(report.json()["ok"], ok);
        }
    }
}
