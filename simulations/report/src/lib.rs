//! The report: one self-contained HTML page from the records of one or several runs.
//!
//! ```text
//!  result.json ─► record (tolerant) ─► run: series, decisions with reasons ─► page ─► out.html
//!                                                          chart, strip, tables ┘
//! ```
//!
//! Invariants:
//! - the page asks the network for nothing, and reads in full without scripts, colours or a mouse;
//! - nothing of a record becomes markup: [`html`](crate) has no way to write it unescaped;
//! - the same records give the same bytes: no clock, no randomness, no order that depends on a hash;
//! - the page's size is bounded, whatever the record's: series are thinned, tables and points cut, and say so.
//!
//! Modules in reading order: `record`, `run`, `series`, `scale`, `html`, `chart`, `page`, `spread`, [`command`].

pub mod command;

mod chart;
mod html;
mod page;
mod record;
mod run;
mod scale;
mod series;
mod spread;

pub use record::FORMAT;
pub use spread::spread;

/// Why there is no page.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A record cannot be read.
    #[error("{file}: {reason}")]
    Record {
        /// Its name.
        file: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No record was given.
    #[error("no record was given; name a run's result.json")]
    Empty,
    /// More than [`RUNS_MAX`] records were given.
    #[error("{0} records are too many side by side; give up to {RUNS_MAX}")]
    TooMany(usize),
}

/// Runs that fit side by side.
pub const RUNS_MAX: usize = 6;

/// The page for these records, each as `(name, JSON)`, in the order given.
///
/// # Errors
/// A record that is not JSON or not of [`FORMAT`]; none, or too many.
pub fn render(records: &[(String, Vec<u8>)]) -> Result<String, Error> {
    if records.len() > RUNS_MAX {
        return Err(Error::TooMany(records.len()));
    }
    let runs =
        records.iter().map(|(name, json)| run::Run::parse(name, json)).collect::<Result<Vec<_>, _>>()?;
    if runs.is_empty() { Err(Error::Empty) } else { Ok(page::page(&runs)) }
}

#[cfg(test)]
mod tests;
