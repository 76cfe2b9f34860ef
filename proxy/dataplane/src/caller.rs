//! Who sends requests on an accepted connection, for those who answer them: whether it is still there, and how long
//! the connection counts as open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Version;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::io::{Far, Wire};
use crate::message::Protocol;

/// Connections open; the listener counts as one.
#[derive(Debug, Default)]
pub(crate) struct OpenCount {
    count: AtomicUsize,
    fell: Notify,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct OpenGuard(Arc<OpenCount>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) wire: Arc<Wire>,
    pub(crate) protocol: Protocol,
    /// Whether the client of the request that is being answered knows interim responses: one of HTTP/1.0 does not.
    hears_interim: AtomicBool,
    open: Arc<OpenCount>,
    abort: CancellationToken,
}

impl OpenCount {
    pub(crate) fn get(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Resolves when one closed since the last call.
    pub(crate) async fn fell(&self) {
        self.fell.notified().await;
    }
}

impl OpenGuard {
    pub(crate) fn new(open: &Arc<OpenCount>) -> Self {
        open.count.fetch_add(1, Ordering::AcqRel);
        Self(open.clone())
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.fell.notify_one();
    }
}

impl Caller {
    pub(crate) fn new(
        wire: Arc<Wire>,
        protocol: Protocol,
        open: Arc<OpenCount>,
        abort: CancellationToken,
    ) -> Self {
        Self { wire, protocol, hears_interim: AtomicBool::new(false), open, abort }
    }

    /// A request came.
    pub(crate) fn asks(&self, version: Version) {
        self.hears_interim.store(version == Version::HTTP_11, Ordering::Relaxed);
    }

    pub(crate) fn hears_interim(&self) -> bool {
        self.hears_interim.load(Ordering::Relaxed)
    }

    /// What became of it. In HTTP/2 the connection's own task knows, and ends what concerns it.
    pub(crate) fn far(&self) -> Far {
        match self.protocol {
            Protocol::H1 => self.wire.far(),
            Protocol::H2 => Far::Open,
        }
    }

    /// Its response broke off. A client of HTTP/1.0, which knows no chunks, could not tell that from an end.
    pub(crate) fn broke_off(&self) {
        if self.protocol == Protocol::H1 && !self.hears_interim() {
            self.wire.end_by_reset();
        }
    }

    /// For a connection that became a tunnel: it counts as open until the guard is dropped, and the token says when
    /// it must end.
    pub(crate) fn tunnel(&self) -> (OpenGuard, CancellationToken) {
        (OpenGuard::new(&self.open), self.abort.clone())
    }
}
