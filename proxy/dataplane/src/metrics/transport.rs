//! Connections and bytes, by direction and side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::shard::Counter;

/// Series of one direction and side.
#[derive(Debug)]
pub struct Transport {
    pub(super) labels: String,
    pub(super) opened: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) read_bytes: Counter,
    pub(super) written_bytes: Counter,
}

/// One open connection, until it is dropped.
#[derive(Debug)]
pub struct Open(Arc<Transport>);

impl Transport {
    pub(super) fn new(labels: String) -> Self {
        Self {
            labels,
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            read_bytes: Counter::default(),
            written_bytes: Counter::default(),
        }
    }

    /// A connection opened.
    pub fn open(self: &Arc<Self>) -> Open {
        self.opened.fetch_add(1, Relaxed);
        Open(self.clone())
    }

    /// Connections open now.
    pub fn open_now(&self) -> u64 {
        let closed = self.closed.load(Relaxed);
        self.opened.load(Relaxed).saturating_sub(closed)
    }
}

impl Open {
    pub(crate) fn read(&self, bytes: usize) {
        self.0.read_bytes.add(bytes as u64);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.0.written_bytes.add(bytes as u64);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Relaxed);
    }
}
