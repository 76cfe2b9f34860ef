//! One accepted connection: which protocol it speaks, and how it ends.

use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use proxy_core::detect::Detected;
use proxy_core::drain::Phase;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::access::Entry;
use crate::body::ProxyBody;
use crate::io::CountedIo;
use crate::stall;
use crate::stream::BodyError;

/// A connection that said nothing yet when the port closes may have its first request on the way; one that is asked
/// to end gets as long to answer.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Read at once to find out what is spoken.
const DETECT_BYTES: usize = 1 << 10;

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
    entry: Option<Box<Entry>>,
}

impl Tracked {
    pub(super) fn new(body: ProxyBody, busy: Busy, entry: Option<Box<Entry>>) -> Self {
        Self { body, _busy: busy, entry }
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
        if let (Some(entry), Poll::Ready(Some(Ok(frame)))) = (&mut self.entry, &polled) {
            entry.sent(frame.data_ref().map_or(0, Bytes::len));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a connection speaks; `None` if its client left without a word. What was read is put back.
pub(super) async fn detect(io: &mut CountedIo) -> io::Result<Option<Detected>> {
    let mut seen = BytesMut::with_capacity(DETECT_BYTES);
    loop {
        if io.read_buf(&mut seen).await? == 0 {
            if seen.is_empty() {
                return Ok(None);
            }
            // It ended its side in the middle of a word; whoever reads it can say what is wrong with it.
            let verdict = if proxy_core::detect::H2_PREFACE.starts_with(&seen) {
                Detected::H1
            } else {
                Detected::Opaque
            };
            io.unread(seen.freeze());
            return Ok(Some(verdict));
        }
        let verdict = proxy_core::detect::detect(&seen);
        if verdict != Detected::More {
            io.unread(seen.freeze());
            return Ok(Some(verdict));
        }
        seen.reserve(DETECT_BYTES);
    }
}
