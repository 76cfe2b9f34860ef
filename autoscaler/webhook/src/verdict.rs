//! What is answered to a request, and how it is put in words.

use autoscaler_api::Problem;

/// Most problems that a message lists; the rest is counted.
pub(crate) const PROBLEMS_MAX: usize = 20;

/// What is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is refused; none: it is admitted.
    pub problems: Vec<Problem>,
    /// What is said beside, in either case.
    pub warnings: Vec<String>,
    /// The object's kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Verdict {
    /// All problems, one a line.
    pub fn message(&self) -> String {
        let n = self.problems.len();
        let mut lines = vec![format!(
            "{} {:?} has {n} {}",
            self.kind,
            self.name,
            if n == 1 { "problem" } else { "problems" }
        )];
        lines.extend(self.problems.iter().take(PROBLEMS_MAX).map(ToString::to_string));
        if n > PROBLEMS_MAX {
            lines.push(format!("and {} more; `gauntlet autoscaler check` lists all", n - PROBLEMS_MAX));
        }
        lines.join("\n")
    }
}
