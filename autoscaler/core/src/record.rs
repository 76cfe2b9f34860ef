//! A decision with everything that it came from, as bytes: the same record gives the same decision, bit for
//! bit, anywhere.
//!
//! Canonical form: JSON without spaces, fields in the types' order, maps sorted, floats as text. A digest
//! over [`canonical_json`] therefore names its content.
//!
//! Records of version 1 are read and decided anew by today's rules, which they cannot be held to.

use serde::{Deserialize, Serialize};

use crate::decide;
use crate::decision::Decision;
use crate::input::Input;

mod v1;

/// The form of records that this crate writes.
pub const RECORD_VERSION: u32 = 2;

/// Longest record that is replayed, in bytes; what it is read from is not trusted.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// One decision with everything that it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// All that was known.
    pub input: Input,
    /// What was decided.
    pub decision: Decision,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// As recorded, in today's form.
    pub input: Input,
    /// As recorded.
    pub recorded: Recorded,
    /// As decided now, from the recorded input.
    pub decision: Decision,
    /// Whether the two decisions are the same bytes; never for an older version's.
    pub identical: bool,
}

/// The decision of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// By the rules of today.
    Current(Box<Decision>),
    /// By older rules, which its input does not replay.
    Older(Older),
}

/// What a record of an older version says of its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// The record's version.
    pub version: u32,
    /// What the target was to have.
    pub desired_replicas: i32,
    /// What was to be written.
    pub write: Option<i32>,
    /// Why, in the words of then.
    pub cause: String,
}

impl Recorded {
    /// What the target was to have, and what was to be written.
    #[must_use]
    pub fn replicas(&self) -> (i32, Option<i32>) {
        match self {
            Self::Current(decision) => (decision.desired_replicas, decision.write),
            Self::Older(older) => (older.desired_replicas, older.write),
        }
    }
}

/// Why a record cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Longer than [`RECORD_BYTES_MAX`].
    #[error("record has {0} bytes, more than {RECORD_BYTES_MAX}; it is not a decision record")]
    TooLong(usize),
    /// Not a record.
    #[error("not a decision record: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Written by a version with another form.
    #[error(
        "record has version {0}, this replays versions 1 to {RECORD_VERSION}; use the release that wrote it"
    )]
    Version(u32),
}

impl Record {
    /// Puts a decision beside its input.
    #[must_use]
    pub fn new(input: Input, decision: Decision) -> Self {
        Self { version: RECORD_VERSION, input, decision }
    }
}

/// The canonical bytes of a record or of a part of one.
///
/// # Errors
/// None for this crate's own types; serde's for others.
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(value)
}

/// Decides again from a record's input and compares.
///
/// # Errors
/// [`RecordError`] if `bytes` is not a record of a known version.
pub fn replay(bytes: &[u8]) -> Result<Replay, RecordError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(RecordError::TooLong(bytes.len()));
    }
    let Versioned { version } = serde_json::from_slice(bytes)?;
    match version {
        1 => {
            let (input, older) = v1::read(bytes)?;
            let decision = decide(&input);
            Ok(Replay { input, recorded: Recorded::Older(older), decision, identical: false })
        }
        RECORD_VERSION => {
            let Record { input, decision: recorded, .. } = serde_json::from_slice(bytes)?;
            let decision = decide(&input);
            let identical = canonical_json(&decision)? == canonical_json(&recorded)?;
            Ok(Replay { input, recorded: Recorded::Current(Box::new(recorded)), decision, identical })
        }
        other => Err(RecordError::Version(other)),
    }
}

#[cfg(test)]
mod tests;
