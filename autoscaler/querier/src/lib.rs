//! Instant queries to any server with Prometheus' HTTP API: authenticated, with fail-over, secrets never printed.
//!
//! ```text
//!  flags and files ─► SourceFiles ─► Source ─► Prometheus: Querier        Rotating: the same, files read again
//!  spec and Secrets ─ the caller ──► Source ┘       │
//!                                                   ▼ one query, one deadline
//!          address 1 ── silent? ──► address 2 ── silent? ──► …            Health: who rests, who is tried first
//!              │ answered
//!              ▼
//!          bounded body ─► decode ─► Answer {series, warnings, incomplete} or QueryError {kind, message}
//! ```
//!
//! Invariants:
//! - every query has exactly one outcome, by its deadline, which runs from the moment that it is sent;
//! - another address is asked only while nobody has answered; what a server says about a query is its answer;
//! - whatever says that an answer is incomplete is kept, in each server's words, and what only informs is dropped;
//! - a body has a bound, packed and unpacked, and so has every list in it;
//! - no secret is in any `Debug`, `Display`, error or log line, also where a server quotes it back;
//! - certificates are checked unless somebody wrote that they shall not be.
//!
//! Nothing here knows Kubernetes: who has Secrets hands over their texts in a [`Source`].
//!
//! Modules in reading order: [`querier`], [`source`], `tls`, [`prometheus`], `health`, `exchange`, `decode`, [`files`].

mod decode;
mod exchange;
pub mod files;
mod health;
pub mod prometheus;
pub mod querier;
pub mod source;
mod tls;

pub use decode::read;
pub use files::{Rotating, SourceFiles};
pub use prometheus::Prometheus;
pub use querier::{Answer, Outcome, Querier, QueryError, Series};
pub use source::{Authorization, ClientCertificate, Source, SourceError, Tls};
