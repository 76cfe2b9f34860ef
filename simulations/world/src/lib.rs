//! Simulated worlds: virtual time, an API server and a querier in one process, and all that can go wrong with them.
//!
//! ```text
//!        ┌──────────────── whoever is on trial ────────────────┐
//!        │ kube::Client                                queries │
//!        ▼                                                     ▼
//!    ApiFaults (409, 429, hangs, watches cut …)     Querier (partial, slow, refused …)
//!        ▼                                                     ▼ PromQL engine
//!    ApiServer ◄─► Plane (controllers, node)        Metrics (lag, backlog, cut, clocks …)
//!                        │ pods start, serve, crash            ▲
//!                        └──────────► Pods ──────────► Fleet ──┘ ◄── Load λ(t), known exactly
//! ```
//!
//! Invariants:
//! - one seed, one world: on [`run()`]'s runtime, the same seed and the same one on trial give the same trace;
//! - what is true (the load, who was ready when) is known at any time, whatever anybody can see of it;
//! - what goes wrong is a schedule ([`simulations_kernel::Schedule`]): taking a fault out of it leaves all other
//!   randomness as it was;
//! - nothing here knows who is on trial.
//!
//! Modules in reading order: [`run`](mod@run), [`load`], [`fleet`], [`metrics`], [`querier`], [`pods`],
//! [`scaled`], [`api`], [`world`]; [`truth`], [`scene`].

pub mod api;
pub mod fleet;
pub mod load;
pub mod metrics;
pub mod pods;
pub mod querier;
pub mod run;
pub mod scaled;
pub mod scene;
pub mod truth;
pub mod world;

pub use api::{ApiFault, ApiFaultKind, ApiFaults, Scope, Verb};
pub use fleet::{Fleet, Scrape};
pub use load::Load;
pub use metrics::{Cluster, MetricFault, Metrics, Part, Told};
pub use pods::{PodFault, Pods};
pub use querier::{Querier, Reply, Unreachable};
pub use run::run;
pub use scaled::{Journal, Scaled};
pub use scene::{Life, Scene, Task, Trouble};
pub use truth::{Tally, Truth, Unsafe};
pub use world::{Actor, Member, Setup, Size, Source, World, WorldFault};
