//! One accepted connection: which protocol it speaks, and how it ends.

use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use proxy_core::drain::Phase;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::body::{BodyError, ProxyBody};
use crate::io::CountedIo;
use crate::message::Protocol;
use crate::stall;

/// A connection that said nothing yet when the port closes may have its first request on the way; one that is asked
/// to end gets as long to answer.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// What HTTP/2 starts with (RFC 9113 §3.4).
const H2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What TLS starts with: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// Runs a connection; once finishing, or unused for `limit`, asks it to end after what is in flight. HTTP/1 keeps
/// hyper's own time of its pauses and has no activity to watch.
pub(super) async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    phase: &mut watch::Receiver<Phase>,
    unused: Option<(&Activity, Duration)>,
    shut_down: impl FnOnce(Pin<&mut C>),
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let idle = async {
        match unused {
            Some((activity, limit)) => activity.idle(limit).await,
            None => pending().await,
        }
    };
    tokio::select! {
        // First the connection: a request that is already here counts as in flight.
        biased;
        ended = &mut connection => return ended,
        () = finishing(phase) => {}
        () = idle => {}
    }
    shut_down(connection.as_mut());
    loop {
        match timeout(LAST_WORDS, &mut connection).await {
            Ok(ended) => return ended,
            // A peer that does not answer a farewell, or never said a whole greeting.
            Err(_) if unused.is_some_and(|(activity, _)| activity.is_idle()) => return Ok(()),
            Err(_) => {}
        }
    }
}

/// Resolves once the phase is at least `Finishing`; never if nobody can say so any more.
pub(super) async fn finishing(phase: &mut watch::Receiver<Phase>) {
    if phase.wait_for(|p| *p >= Phase::Finishing).await.is_err() {
        pending::<()>().await;
    }
}

/// Requests on one connection. HTTP/1 has hyper's own timer for its pauses, HTTP/2 has this.
#[derive(Debug, Default)]
pub(super) struct Activity {
    in_flight: AtomicUsize,
    requests: AtomicUsize,
}

/// A request, until its response's body is over.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

/// A body that keeps its connection from counting as idle.
pub(super) struct Tracked {
    body: ProxyBody,
    _busy: Busy,
}

impl Tracked {
    pub(super) fn new(body: ProxyBody, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl Activity {
    fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }

    /// Resolves after `limit`, or up to twice that, without a request.
    async fn idle(&self, limit: Duration) {
        let mut before = usize::MAX;
        loop {
            sleep(limit).await;
            let now = self.requests.load(Ordering::Relaxed);
            if self.is_idle() && (now == before || now == 0) {
                return;
            }
            before = now;
        }
    }
}

impl Busy {
    pub(super) fn start(activity: &Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        activity.requests.fetch_add(1, Ordering::Relaxed);
        Self(activity.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        stall::note(&polled);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// `None`: nothing that we speak, or nothing at all.
pub(super) async fn detect(io: &mut CountedIo) -> io::Result<Option<Protocol>> {
    let mut seen = [0u8; H2_PREFACE.len()];
    let mut len = 0;
    while let Some(rest) = seen.get_mut(len..).filter(|r| !r.is_empty()) {
        let n = io.read(rest).await?;
        len += n;
        let so_far = seen.get(..len).unwrap_or_default();
        if n == 0 && len == 0 {
            return Ok(None);
        }
        if so_far.first() == Some(&TLS_HANDSHAKE) {
            tracing::debug!("refused a TLS connection: this proxy speaks plain HTTP");
            return Ok(None);
        }
        if n == 0 || !H2_PREFACE.starts_with(so_far) {
            io.unread(Bytes::copy_from_slice(so_far));
            return Ok(Some(Protocol::H1));
        }
    }
    io.unread(Bytes::copy_from_slice(&seen));
    Ok(Some(Protocol::H2))
}
