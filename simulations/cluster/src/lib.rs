//! The embedded cluster: a Kubernetes API server, workload controllers, DNS, and a node that runs pods as local
//! processes.
//!
//! ```text
//!  kubectl, kube clients ──HTTP──► http ─► api ─► store (objects, revision, history)
//!                                             ▲ watches
//!          workloads (Deployment, ReplicaSet, StatefulSet) ─┤ all through a kube client,
//!          node (pods ─► processes on 127.A.y.z) ───────────┤ as on a real API server
//!          dns (services ─► addresses of ready pods) ───────┘
//!
//!  in virtual time:  client ──service──► http ─► api ─► store ◄── plane (the same controllers, pods without processes)
//! ```
//!
//! Invariants:
//! - `store`, `api`, `patch`, `schema` and `selector` neither await, nor read a clock, nor draw randomness;
//! - the controllers, the node and DNS know the API only as any client does; where there are no processes, [`Plane`]
//!   reads and writes the state itself, which costs a tenth;
//! - [`ApiServer`] is given its clock and its seed: in a paused runtime, the same calls give the same bytes;
//! - a request changes everything it should, or nothing;
//! - no process outlives its cluster, however it ends, where there is a helper ([`ClusterConfig::helper`]);
//! - everything drawn comes from the cluster's seed.
//!
//! What a real cluster does and this one does not: authentication and authorisation, admission
//! webhooks, virtual service addresses and endpoints (discovery goes by Pods; DNS answers with them), exec and
//! port-forward, resource limits, jobs and daemons. Each is absent, not imitated.
//!
//! Modules in reading order: `cluster`, `octet`, `store`, `types`, `builtin`, `schema`, `patch`, `api`, `http`, `server`, `workloads`, `node`, `plane`, `sweep`, `dns`,
//! `run`; [`preflight`], [`machine`], `doctor`.

mod api;
mod bell;
mod builtin;
mod cluster;
mod dns;
mod doctor;
mod error;
mod http;
mod kubeconfig;
pub mod machine;
mod node;
mod object;
mod octet;
mod patch;
mod pause;
mod plane;
pub mod preflight;
mod resources;
mod run;
mod schema;
mod selector;
mod server;
mod store;
mod sweep;
mod table;
mod types;
mod workloads;

pub use cluster::{Cluster, ClusterConfig, Process};
pub use dns::{Dns, Route, Zone};
pub use doctor::{DoctorArgs, doctor};
pub use http::ApiService;
pub use kubeconfig::write_kubeconfig;
pub use octet::find_octet;
pub use pause::steady_pause;
pub use plane::{Fate, Happened, Kubelet, Plane, PodSeen, Step};
pub use run::{Args, run};
pub use server::{ApiServer, Changed};
pub use sweep::Helper;
