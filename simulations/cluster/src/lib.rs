//! The embedded cluster: a Kubernetes API server, workload controllers, DNS, and a node that runs pods as local
//! processes.

mod api;
mod builtin;
mod error;
mod http;
mod object;
mod patch;
mod resources;
mod schema;
mod selector;
mod store;
mod table;
