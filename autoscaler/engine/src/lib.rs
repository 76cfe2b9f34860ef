//! The controller as one pure function over time: events in, effects out, all policies' state between them.
//!
//! ```text
//!  policies ─────┐                                                      ┌─► Query      one metric of one policy
//!  targets ──────┤                                                      ├─► Record     before it is acted on
//!  HPAs, rings, ─┤ Event                                        Effect  ├─► Write      replicas, ring, status, event
//!  pods, answers,├──────► Engine::step(now, event) ─────────────────────┼─► Watch, ReadTarget
//!  fences, time ─┘          │                                           └─► Evaluated, Scaled, Forget
//!                           ├─ due       grids with a phase of their own, one heap of timers
//!                           ├─ pool      which query may start: slots a querier and a policy, turns
//!                           ├─ judge     autoscaler-core decides
//!                           ├─ ring      members first, replicas second
//!                           └─ writer    which write may go: raise > lower > status > event, a bucket a cluster
//! ```
//!
//! # The way of an event
//!
//! A watch tells that a target changed: `engine/watched` takes it into [`targets`]. When the policy is due
//! (`engine/ticks`), what stands in its way is looked for ([`rivals`], limits, a target that is not there); else its
//! queries go to the [`pool`], and out as effects when there is room. The last answer ends the evaluation
//! (`engine/conclude`): `judge` decides, [`ring`] arranges, the decision is recorded and its write handed to the
//! [`writer`]. It leaves when budgets and fence allow (`engine/writes`), and its end comes back as an event.
//!
//! # Invariants
//!
//! - [`Engine::step`] is total and deterministic: no clock, no I/O, no randomness, no hash order. The same times and
//!   events give the same effects ([`Replay`]).
//! - Nothing is read for an evaluation: what is decided on was told by watches, and is written only if it is still
//!   true ([`effect::Scale::resource_version`]).
//! - Evaluations of one policy never overlap; one write is in flight a target.
//! - Nothing leaves for a shard whose fence is closed, and of what it wanted nothing remains.
//! - One policy, cluster or querier that is slow, wrong or greedy takes nothing that another has.
//! - Every list has a bound and every wait a deadline.
//!
//! # Modules in reading order
//!
//! [`time`], [`objects`], [`event`], [`effect`], [`config`]; [`engine`]; [`due`], [`shards`], [`place`], [`targets`], [`rivals`],
//! [`pool`], [`ring`], [`writer`]; `followed` with `judge`, `board`, `said`, `told`, [`memory`]; [`hash`], `text`;
//! [`replay`].

mod board;
pub mod config;
pub mod due;
pub mod effect;
pub mod engine;
pub mod event;
mod followed;
pub mod hash;
mod judge;
pub mod memory;
pub mod objects;
pub mod place;
pub mod pool;
pub mod replay;
pub mod ring;
pub mod rivals;
mod said;
pub mod shards;
pub mod targets;
mod text;
pub mod time;
mod told;
pub mod writer;

pub use config::Config;
pub use effect::Effect;
pub use engine::{Counters, Engine};
pub use event::{Event, Outcome};
pub use replay::Replay;
pub use time::Now;
