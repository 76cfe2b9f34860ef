//! What a world needs of the machine, looked at before anything starts: all problems at once, each with its cure.
//!
//! ```text
//!  Needs ─► checks ─► Check: what was looked at, and what it is
//!                       └─ Finding: what is wrong, who holds it, what helps, whether nothing can start
//! ```
//!
//! What is found can change before the world starts: everything that starts says why it could not, too.

mod limits;
mod ports;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

pub(crate) use limits::{available_memory, meminfo, size};
pub use ports::ports_in;

/// What a world needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Second octets: one a cluster, and one a link where a scenario cuts them.
    pub octets: usize,
    /// TCP ports that pods bind at their own addresses ([`ports_in`]).
    pub ports: BTreeSet<u16>,
    /// Files and connections that this process has open. Below it one is warned; with half of it nothing starts.
    pub open_files: u64,
    /// Processes and threads, of all pods.
    pub tasks: u64,
    /// Memory of all pods.
    pub memory_bytes: u64,
    /// Where data goes; it need not be there yet.
    pub dir: PathBuf,
    /// How much.
    pub disk_bytes: u64,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub what: String,
    /// Who is in the way, where somebody is.
    pub holder: Option<String>,
    /// What helps.
    pub cure: String,
    /// Nothing can start like this.
    pub fatal: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(holder) = &self.holder {
            write!(f, " is held by {holder}")?;
        }
        write!(f, "; {}", self.cure)
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// What it is where it is well.
    pub detail: String,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Check {
    fn new(
        name: &'static str,
        detail: impl Into<String>,
        findings: impl IntoIterator<Item = Finding>,
    ) -> Self {
        Self { name, detail: detail.into(), findings: findings.into_iter().collect() }
    }
}

/// Looks at everything. Blocks for some milliseconds.
pub fn checks(needs: &Needs) -> Vec<Check> {
    let mut checks = Vec::new();
    let (loopback, octet) = ports::loopback();
    checks.push(loopback);
    checks.push(ports::octets(needs.octets));
    if let Some(octet) = octet.filter(|_| !needs.ports.is_empty()) {
        checks.push(ports::free(&needs.ports, octet));
    }
    checks.push(limits::open_files(needs.open_files));
    checks.push(limits::tasks(needs.tasks));
    checks.push(limits::memory(needs.memory_bytes));
    checks.push(limits::folder(&needs.dir, needs.disk_bytes));
    checks
}

/// What is wrong.
pub fn findings(needs: &Needs) -> Vec<Finding> {
    checks(needs).into_iter().flat_map(|check| check.findings).collect()
}

/// Nothing, or one error with a line for each finding that keeps a world from starting.
///
/// # Errors
/// One of them is fatal.
pub fn refuse(findings: &[Finding]) -> anyhow::Result<()> {
    let fatal: Vec<String> = findings.iter().filter(|f| f.fatal).map(Finding::to_string).collect();
    match fatal.as_slice() {
        [] => Ok(()),
        [one] => Err(anyhow::anyhow!("{one}")),
        many => Err(anyhow::anyhow!("{} things are in the way:\n  {}", many.len(), many.join("\n  "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(what: &str, holder: Option<&str>, fatal: bool) -> Finding {
        Finding { what: what.into(), holder: holder.map(str::to_owned), cure: "stop it".into(), fatal }
    }

    #[test]
    fn all_problems_are_told_at_once_a_line_each() {
        let (a, b) =
            (finding("port 1", Some("x (pid 2) at 0.0.0.0:1"), true), finding("little memory", None, false));
        assert_eq!(a.to_string(), "port 1 is held by x (pid 2) at 0.0.0.0:1; stop it");
        assert!(refuse(std::slice::from_ref(&b)).is_ok() && refuse(&[]).is_ok());
        assert_eq!(refuse(&[b.clone(), a.clone()]).unwrap_err().to_string(), a.to_string());
        let many = refuse(&[a, b, finding("port 3", None, true)]).unwrap_err().to_string();
        assert_eq!(many.lines().count(), 3, "{many}");
        assert!(many.starts_with("2 things are in the way:\n  port 1 is held by "), "{many}");
    }
}
