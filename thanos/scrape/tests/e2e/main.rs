//! The scraper against real sockets: targets that answer, fail and vanish; a receiver that refuses, limits and
//! hangs.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod kubernetes;
mod receiver;
mod remote_write;
mod scrape;
