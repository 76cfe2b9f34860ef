//! Connections that many requests share.
//!
//! A connection takes as many at once as its server allows, up to a hundred; when all are full, another is opened. So
//! the requests of an open loop never wait for a stream, and there are as few connections as that takes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::Failure;
use super::connect::Peer;

/// What servers should allow at least (RFC 9113 §6.5.2).
const STREAMS_MAX: usize = 100;

/// Until the server says how many streams it allows, one is sent: it might refuse more.
const STREAMS_AT_FIRST: usize = 1;

/// A server that has not said so by then allows no more than that.
const SAYS_WITHIN: Duration = Duration::from_secs(1);

/// The connections to one target.
#[derive(Debug, Default)]
pub(super) struct Shared {
    open: Mutex<Vec<Arc<Connection>>>,
}

#[derive(Debug)]
struct Connection {
    /// Opened by the first request that needs it; the others on it wait for that.
    send: OnceCell<SendRequest<Full<Bytes>>>,
    allows: Arc<AtomicUsize>,
    lent: AtomicUsize,
    since: Instant,
}

impl Connection {
    fn new() -> Self {
        Self {
            send: OnceCell::new(),
            allows: Arc::new(AtomicUsize::new(STREAMS_AT_FIRST)),
            lent: AtomicUsize::new(0),
            since: Instant::now(),
        }
    }

    fn is_over(&self) -> bool {
        self.send.get().is_some_and(SendRequest::is_closed)
    }

    fn has_room(&self) -> bool {
        let said = self.allows.load(Relaxed);
        let allows =
            if said == STREAMS_AT_FIRST && self.since.elapsed() < SAYS_WITHIN { STREAMS_MAX } else { said };
        self.lent.load(Relaxed) < allows.min(STREAMS_MAX)
    }
}

/// A request's place on a connection; free again when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Connection>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.lent.fetch_sub(1, Relaxed);
    }
}

impl Shared {
    /// A place on a connection that has one, else on a new connection; `alone` on one of its own.
    pub(super) fn place(&self, alone: bool) -> Place {
        let mut open = self.open.lock();
        open.retain(|c| !c.is_over());
        let free = open.iter().find(|c| !alone && c.has_room()).cloned();
        let connection = free.unwrap_or_else(|| {
            let new = Arc::new(Connection::new());
            if !alone {
                open.push(new.clone());
            }
            new
        });
        connection.lent.fetch_add(1, Relaxed);
        Place(connection)
    }

    /// Whether a request can be put on a connection without opening one.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.open.lock().len()
    }
}

impl Place {
    /// The way to send, once the connection is open.
    pub(super) async fn send(&self, peer: &Peer) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let open = || open(peer, self.0.allows.clone());
        self.0.send.get_or_try_init(open).await.cloned()
    }

    /// Whether the connection has still to be opened.
    pub(super) fn is_new(&self) -> bool {
        !self.0.send.initialized()
    }
}

async fn open(peer: &Peer, allows: Arc<AtomicUsize>) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = TokioIo::new(peer.connect().await?);
    let (send, wire) = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_max_send_streams(STREAMS_AT_FIRST)
        .handshake::<_, Full<Bytes>>(stream)
        .await
        .map_err(|e| Failure::asking(&e))?;
    tokio::spawn(async move {
        let mut wire = pin!(wire);
        // Its end is seen by the requests on it.
        let _ = poll_fn(|cx| {
            let ended = wire.as_mut().poll(cx);
            if ended.is_pending() {
                allows.store(wire.current_max_send_streams().max(1), Relaxed);
            }
            ended
        })
        .await;
    });
    Ok(send)
}
