//! Clockless state machines of the proxy: load estimate, balancer choice, classification, in-flight integral, drain.
//!
//! ```text
//!  first bytes ─► detect::detect ─► Detected
//!  request ─► p2c::choose(load::Load of two endpoints, a random number) ─► endpoint
//!  response ─► ewma::PeakEwma.observe(rtt, now) ; classify::Eos ─► Class
//!  both ends ─► in_flight::InFlight.start(now) / end(now) ─► ∫ in-flight dt
//!  SIGTERM ─► drain::Drain.begin(now) ─► step(now, what is open) ─► Phase
//! ```
//!
//! Invariants:
//! - nothing awaits, reads a clock or draws randomness: time and random numbers are arguments;
//! - every function is total: time that runs backwards, overflow and NaN have defined outcomes;
//! - times are nanoseconds (`_ns`) or milliseconds (`_ms`) since a start that the caller chose.
//!
//! Modules in reading order: [`detect`], [`ewma`], [`load`], [`p2c`], [`classify`], [`in_flight`], [`drain`], [`backoff`],
//! [`random`].

pub mod backoff;
pub mod classify;
pub mod detect;
pub mod drain;
pub mod ewma;
pub mod in_flight;
pub mod load;
pub mod p2c;
pub mod random;
