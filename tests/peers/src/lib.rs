//! Gauntlet's parts with the real systems on the other side, each a process.
//!
//! ```text
//!  tests/peers/build ─► bin/{prometheus,promtool,thanos,etcd,kube-apiserver,…}     once, by Go, ignored by git
//!  a test ─► built(["thanos"]) ─► Process on an Address of its own ◄─► Process of gauntlet!()
//! ```
//!
//! Invariants:
//! - where a real system is not built the test says so and passes, unless `CI` or `GAUNTLET_PEERS=required` is set:
//!   then it fails;
//! - a process ends with its guard, and its log is shown if the test failed;
//! - every process has a loopback address of its own, so usual ports are free and survive restarts.
//!
//! `benches/` measures ours beside the real ones, on the same modules.
//!
//! Modules in reading order: [`world`], [`server`], [`process`], [`binary`], [`address`], [`control_plane`],
//! [`mod@write`], [`http`], [`wait`], [`traffic`], [`queries`], [`answers`], [`usage`].

pub mod address;
pub mod answers;
pub mod binary;
pub mod control_plane;
pub mod http;
pub mod process;
pub mod queries;
pub mod server;
pub mod traffic;
pub mod usage;
pub mod wait;
pub mod world;
pub mod write;

pub use address::Address;
pub use binary::built;
pub use control_plane::{Binaries, ControlPlane};
pub use process::Process;
pub use server::Server;
pub use wait::until;
pub use world::World;

/// The path of our own binary, built for this test run. Only integration tests may use it.
#[macro_export]
macro_rules! gauntlet {
    () => {
        env!("CARGO_BIN_EXE_gauntlet-under-test")
    };
}
