//! Decision records: who keeps them, where they are, how one is found.

use autoscaler_engine::effect::Record;
use autoscaler_engine::objects::Name;

pub(crate) mod find;
pub(crate) mod layout;
mod store;

pub(crate) use store::{Bounds, Records};

/// Whoever keeps decisions.
pub trait Keep: Send + Sync {
    /// Keeps one, for its policy and under its digest, before it is acted on.
    fn keep(&self, record: &Record);

    /// What was kept of `policy` under `digest` came to nothing, as one before it did.
    fn discard(&self, policy: &Name, digest: &str);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeepNothing;

impl Keep for KeepNothing {
    fn keep(&self, _: &Record) {}

    fn discard(&self, _: &Name, _: &str) {}
}
