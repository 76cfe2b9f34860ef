//! Gauntlet's parts with a real Thanos on the other side.

#![allow(clippy::unwrap_used, reason = "tests")]

mod frontend;
mod partial;
mod ring;
mod stores;
mod writes;
