//! What every process of ours has: own metrics, exposition text, logs, admin endpoints, shutdown, exit codes.
//!
//! ```text
//!  main ─► logs::init ─► part::run(args, Context) ─► RunError ─► exit code
//!                              │ metrics::Registry ─► admin::router: /metrics /live /ready /-/healthy /-/ready
//!                              └ shutdown::Shutdown: SIGTERM or SIGINT once drains, again a second later stops
//! ```
//!
//! Invariants:
//! - a configuration that is wrong ends as [`cli::RunError::Config`] before any port opens (exit 64);
//! - a port that cannot be had says whose it is;
//! - every server has a bound on its connections and a deadline for each part of a request's head;
//! - `/metrics` is valid text 0.0.4 and valid OpenMetrics, whichever the scraper asks for;
//! - nothing here knows any part.
//!
//! Modules in reading order: [`cli`], [`logs`], [`shutdown`], [`parent`], [`open_files`], [`sockets`], [`any_certificate`],
//! [`metrics`], [`server`], [`admin`], [`exposition`].

pub mod admin;
pub mod any_certificate;
pub mod cli;
pub mod exposition;
pub mod logs;
pub mod metrics;
pub mod open_files;
pub mod parent;
pub mod server;
pub mod shutdown;
pub mod sockets;

pub use cli::{Context, RunError, Running};
pub use metrics::Metrics;
pub use shutdown::Shutdown;
