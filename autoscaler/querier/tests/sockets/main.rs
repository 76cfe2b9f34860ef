//! Queriers over real sockets: what is sent, who is asked, what is believed, and what is never printed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod answers;
mod failover;
mod requests;
mod rotation;
mod secrets;
mod server;
mod tls;
