//! The read path: endpoints, fan-out, merge, deduplication.
//!
//! ```text
//!  --endpoint, DNS, files ─► discovery ─► registry ◄─ Info, again and again
//!                                            │ view: whom to ask, whom to miss
//!  select ─► fanout ─► frames (one a store) ─► merge ─► decode ─► dedup ─► series + warnings
//! ```
//!
//! Invariants:
//! - a store that a query may have data in and that did not answer in full is named in the answer's warnings,
//!   however long it has been silent (until it is forgotten, and only if its operator took it away before);
//! - only external labels and time announced by a store keep it from being asked;
//! - what comes from a store is untrusted: sizes and waits are bounded, garbage is a warning that names it;
//! - deduplication drops samples, it never changes or invents one.
//!
//! Modules in reading order: [`endpoint`], [`dns`], [`discovery`], [`registry`], [`dial`], [`set`], [`frames`],
//! [`merge`], [`decode`], [`dedup`], [`fanout`], [`proxy`], [`metrics`].

pub mod endpoint;
pub mod metrics;

mod decode;
mod dedup;
mod dial;
mod discovery;
mod dns;
mod fanout;
mod frames;
mod merge;
mod proxy;
mod registry;
mod set;

pub use endpoint::EndpointSpec;
pub use fanout::{Fanout, Querier, QueryOptions};
pub use metrics::Metrics;
pub use proxy::{ProxyLimits, serve};
pub use set::{Config, EndpointSet, StoreStatus};
