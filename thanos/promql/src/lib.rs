//! PromQL: promql-parser's tree lowered into our own plan and evaluated over a series source.

pub mod source;
