//! PromQL: promql-parser's tree lowered into our own plan and evaluated over a series source.

pub mod engine;
pub mod error;
pub mod plan;
pub mod result;
pub mod source;

pub use engine::{Engine, Options, Steps};
pub use error::{QueryError, Stop};
pub use plan::{Plan, Selector, parse};
pub use result::{MatrixSeries, QueryResult, QueryValue, VectorSample};
