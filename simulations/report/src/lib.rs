//! The report: one self-contained HTML page from the records of one or several runs.
//!
//! ```text
//!  result.json ─► record (tolerant) ─► run: series, decisions and the steps that each made ─► page ─► out.html
//!                   └► alike: what differs between records          chart, strip, tables ┘
//! ```
//!
//! Invariants:
//! - the page asks the network for nothing, and reads in full without scripts, colours or a mouse;
//! - nothing of a record becomes markup: [`html`](crate) has no way to write it unescaped;
//! - a decision is told as it was recorded; a step that none explains says so; what is guessed says that it is;
//! - the same records give the same bytes: no clock, no randomness, no order that depends on a hash;
//! - the page's size is bounded, whatever the record's: series are thinned, tables and points cut, and say so.
//!
//! Modules in reading order: `record`, `run`, `alike`, `series`, `scale`, `html`, `chart`, `page`, `spread`,
//! [`command`].

pub mod command;

mod alike;
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

/// The page for these records, each as `(name, JSON)`, in the order given. Links to the files of a record expect the page
/// to be beside it.
///
/// # Errors
/// A record that is not JSON or not of [`FORMAT`]; none, or too many.
pub fn render(records: &[(String, Vec<u8>)]) -> Result<String, Error> {
    page_of(records.iter().map(|(name, json)| (name.as_str(), "", json.as_slice())))
}

/// The page for records, each as `(name, folder as seen from the page, JSON)`.
fn page_of<'a>(
    records: impl ExactSizeIterator<Item = (&'a str, &'a str, &'a [u8])>,
) -> Result<String, Error> {
    if records.len() > RUNS_MAX {
        return Err(Error::TooMany(records.len()));
    }
    let runs = records.map(|(name, folder, json)| run::Run::parse(name, folder, json));
    let runs = runs.collect::<Result<Vec<_>, _>>()?;
    if runs.is_empty() { Err(Error::Empty) } else { Ok(page::page(&runs)) }
}

#[cfg(test)]
mod tests;
