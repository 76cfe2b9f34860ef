//! Clockless state machines of the proxy: load, breakers, balancer choice, retries, classification, in-flight integral,
//! drain.
//!
//! ```text
//!  first bytes ─► detect::detect ─► Detected
//!  request ─► p2c::choose(candidate and cost of two endpoints, a random number) ─► endpoint
//!                 ▲                                                                   │ load::Load.start(now)
//!                 │                                                                   ▼
//!   ewma, health, breaker ◄── answered, failed, canceled … ──────────────── load::Waiting, Streaming
//!                                        │
//!  failed attempt ─► attempts::Attempts.failed(how, budget) ─► elsewhere, here, or give up
//!  response ─► classify::Eos ─► Class
//!  both ends ─► in_flight::InFlight.start(now) / end(now) ─► ∫ in-flight dt
//!  SIGTERM ─► drain::Drain.begin(now) ─► step(now, what is open) ─► Phase
//! ```
//!
//! Invariants:
//! - nothing awaits, reads a clock or draws randomness: time and random numbers are arguments;
//! - every function is total: time that runs backwards, overflow and NaN have defined outcomes;
//! - times are nanoseconds (`_ns`) or milliseconds (`_ms`) since a start that the caller chose;
//! - failing fast is never taken for speed, and whatever fails, some endpoint is chosen.
//!
//! Modules in reading order: [`detect`], [`ewma`], [`health`], [`breaker`], [`load`], [`p2c`], [`budget`], [`attempts`],
//! [`classify`], [`in_flight`], [`drain`], [`backoff`], [`random`].

pub mod attempts;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod classify;
pub mod detect;
pub mod drain;
pub mod ewma;
pub mod health;
pub mod in_flight;
pub mod load;
pub mod p2c;
pub mod random;
