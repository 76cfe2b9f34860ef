//! Reads PromQL for everybody who has to: the engine, the check of policies and their controller. What one of them
//! takes, all take.
//!
//! ```text
//!  text ─► token ─► guard ─► lift ─► promql-parser ─► read ─► Expr ─┬─► the engine's plan
//!            └───────── where everything stands ───────┘            └─► Query ─► selectors, window
//!                                                                          └──► the text for another time
//! ```
//!
//! Invariants:
//! - no text panics: what promql-parser would choke on is refused before it, and depth, length and numbers have bounds;
//! - an error says where, wherever that can be known, and a tree's spans are those of the text;
//! - [`Query::at`] gives a text whose answer, at any time, is the query's own at that one time;
//! - nothing here does I/O, awaits, reads a clock or draws randomness.
//!
//! Modules in reading order: [`error`], [`token`], [`guard`], [`duration`], [`lift`], [`locate`], [`ast`], [`text`],
//! [`cursor`], [`read`], [`parse`](mod@parse), [`query`].

pub mod ast;
pub mod error;
pub mod query;

mod cursor;
mod duration;
mod guard;
mod lift;
mod locate;
mod parse;
mod read;
mod text;
mod token;

pub use ast::ValueType;
pub use duration::Context;
pub use error::{ErrorKind, Place, Span, SyntaxError};
pub use guard::{MAX_NESTING, MAX_OPERATORS, MAX_OPERATORS_IN_ALL, MAX_QUERY_BYTES};
pub use parse::{Parsed, parse};
pub use query::{MAX_SELECTORS, Pinned, Query, SeriesSelector};
