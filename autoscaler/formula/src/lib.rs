//! One number out of several metrics: CEL's arithmetic, compiled once, evaluated totally.
//!
//! ```text
//!  "max(queue, requests / 2)" ─► token ─► parse: numbers and truths, told apart ─► Formula {text, tree, metrics}
//!                                                                                      │ values by metric
//!                                                                                      ▼
//!                                                                  evaluate ─► a finite number, or Undefined
//! ```
//!
//! The language is the part of [CEL](https://github.com/google/cel-spec) that reckons: numbers, metrics, `+ - * /`,
//! comparisons, `&& || !`, `?:`, `max`, `min` and `has`. What is taken here, CEL takes, and it means the same there
//! where every number is written as a double (`2.0`); a test holds both to the `cel` crate.
//!
//! # Invariants
//!
//! - Nothing but numbers and truths: what an expression is, is known when it is compiled, so that no evaluation fails
//!   by a type.
//! - Bounded: [`TEXT_MAX`] bytes, [`DEPTH_MAX`] levels, no loops. An evaluation takes no more steps than the text
//!   has bytes.
//! - Total: a value that is missing, a division by zero and a result that is no finite number are
//!   [`Undefined`], each by its name.
//! - The same text and values give the same bits, on any machine: IEEE 754's basic operations and nothing else.
//!
//! # Modules in reading order
//!
//! [`error`], [`token`], [`tree`], [`parse`], [`evaluate`], [`formula`].

mod error;
mod evaluate;
mod formula;
mod parse;
mod token;
mod tree;

pub use error::FormulaError;
pub use evaluate::Undefined;
pub use formula::Formula;
pub use parse::{DEPTH_MAX, TEXT_MAX};
pub use tree::Mention;
