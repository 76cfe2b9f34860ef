//! PromQL: a query's tree lowered into our own plan and evaluated over a series source.
//!
//! ```text
//!  text ─► thanos-promql-syntax ─► Plan ──┐
//!                                         ├─► Engine::fetch ─► Engine::evaluate ─► QueryResult
//!  SeriesSource (head, blocks, stores) ───┘      (async)             (pure)
//! ```
//!
//! Invariants:
//! - no text and no data panics;
//! - evaluation neither waits, nor reads a clock, nor draws randomness; its times and its deadline are arguments;
//! - what a query holds is charged to its [`source::Budget`];
//! - a construct that cannot be evaluated is an error that names it, never a wrong number.
//!
//! Modules in reading order: [`source`], [`steps`], [`plan`], [`setting`], [`engine`], [`result`], [`error`].

pub mod engine;
pub mod error;
pub mod plan;
pub mod result;
pub mod setting;
pub mod source;
pub mod steps;

mod annotations;
mod civil;
mod eval;
mod histogram;
mod kahan;
mod row;

pub use engine::Engine;
pub use error::{QueryError, Stop};
pub use plan::{Plan, Selector, ValueType, parse};
pub use result::{MatrixSeries, QueryResult, QueryValue, VectorSample};
pub use setting::{Check, Fetched, Options};
pub use steps::Steps;
