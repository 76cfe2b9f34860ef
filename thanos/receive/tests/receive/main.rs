//! Receive over real sockets: nodes in this process, each on a runtime of its own so that it can be stopped
//! without a word.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test's helpers")]

mod failures;
mod node;
mod requests;
mod ring;
mod storeapi;
