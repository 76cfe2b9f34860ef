//! One connection: how it begins, how full it is, what its task does until it ends.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use ::h2::client::{Builder, Connection as Inner, SendRequest};
use ::h2::{Ping, PingPong};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::Settings;
use super::choose::{Load, STREAMS_MAX};
use super::keepalive::{Action, Keepalive, Seen};
use super::watched::Watched;
use crate::client::connect;
use crate::metrics::Transport;

/// Enough for a stream in a data centre, and little enough for thousands that nobody reads.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// All streams may stall with full windows, and still nothing of the connection's is theirs.
const CONNECTION_WINDOW_BYTES: u32 = STREAM_WINDOW_BYTES * STREAMS_MAX as u32;
/// What a stream holds that the connection has not written yet.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// Beyond this the h2 crate resets a head, but cuts trailers in silence. So it is far above what we forward.
const HEADERS_BYTES: u32 = 1 << 20;
/// Streams that a peer takes before it said how many: a number that no peer can say.
const NOT_SAID: usize = u32::MAX as usize + 1;

/// What is opened streams on.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) shared: Arc<Shared>,
}

/// What a connection's task, its streams and the list know of each other.
#[derive(Debug)]
pub(super) struct Shared {
    /// Half streams: what sends and what receives may end apart.
    halves: AtomicUsize,
    room: AtomicUsize,
    opened: AtomicU64,
    heard: AtomicU64,
    written: Arc<AtomicU64>,
    dead: AtomicBool,
    freed: Arc<Notify>,
}

/// A stream's place, or half of it.
#[derive(Debug)]
pub(super) struct Slot {
    shared: Arc<Shared>,
    halves: usize,
}

/// A connection's task.
#[derive(Debug)]
pub(super) struct Driver {
    connection: Inner<Watched, Bytes>,
    pings: Option<PingPong>,
    shared: Arc<Shared>,
    keepalive: Keepalive,
    timer: Pin<Box<Sleep>>,
}

/// Connects, and waits for the peer's settings: before, nobody knows how many streams it takes. A peer that is slow to
/// say so is given requests all the same once connecting took its time.
pub(super) async fn open(
    addr: SocketAddr,
    settings: &Settings,
    transport: &Arc<Transport>,
    freed: &Arc<Notify>,
) -> io::Result<(Arc<Connection>, Driver)> {
    let deadline = Instant::now() + settings.connect_timeout;
    let written = Arc::<AtomicU64>::default();
    let io = Watched::new(connect(addr, settings, transport).await?, written.clone());
    let handshake = Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADERS_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .initial_max_send_streams(NOT_SAID)
        .enable_push(false)
        .handshake::<_, Bytes>(io);
    let (sender, mut connection) = timeout_at(deadline, handshake)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))?
        .map_err(io::Error::other)?;
    let said = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Ok(())) => {
            Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before its settings")))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(io::Error::other(error))),
        Poll::Pending if connection.max_concurrent_send_streams() == NOT_SAID => Poll::Pending,
        Poll::Pending => Poll::Ready(Ok(())),
    });
    match timeout_at(deadline, said).await {
        Ok(said) => said?,
        Err(_) => tracing::debug!(%addr, "no settings in time"),
    }
    let shared = Arc::new(Shared {
        halves: AtomicUsize::new(0),
        room: AtomicUsize::new(connection.max_concurrent_send_streams().min(STREAMS_MAX)),
        opened: AtomicU64::new(0),
        heard: AtomicU64::new(0),
        written,
        dead: AtomicBool::new(false),
        freed: freed.clone(),
    });
    let driver = Driver {
        pings: connection.ping_pong(),
        connection,
        shared: shared.clone(),
        keepalive: Keepalive::new(settings.idle_timeout),
        timer: Box::pin(sleep(settings.idle_timeout)),
    };
    Ok((Arc::new(Connection { sender, shared }), driver))
}

impl Connection {
    pub(super) fn load(&self) -> Load {
        let room = self.shared.room.load(Ordering::Relaxed);
        Load { streams: self.shared.streams(), room }
    }

    /// Only under the lock of the list, where the load was looked at.
    pub(super) fn slot(&self) -> Slot {
        self.shared.halves.fetch_add(2, Ordering::Relaxed);
        Slot { shared: self.shared.clone(), halves: 2 }
    }
}

impl Shared {
    fn streams(&self) -> usize {
        self.halves.load(Ordering::Relaxed).div_ceil(2)
    }

    /// Returns whether it is the first.
    pub(super) fn opens(&self) -> bool {
        self.opened.fetch_add(1, Ordering::Relaxed) == 0
    }

    /// Bytes written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }
}

impl Slot {
    /// Gives half of the place away.
    pub(super) fn split(&mut self) -> Self {
        self.halves = 1;
        Self { shared: self.shared.clone(), halves: 1 }
    }

    /// The peer said something.
    pub(super) fn heard(&self) {
        self.shared.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// The peer did not answer a ping.
    pub(super) fn is_dead(&self) -> bool {
        self.shared.dead.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.shared.halves.fetch_sub(self.halves, Ordering::Relaxed);
        self.shared.freed.notify_one();
    }
}

impl Driver {
    /// Until the connection ends, by itself, by its peer, or because nobody needs it. `unused` takes it from the list
    /// if nobody does.
    pub(super) async fn run(mut self, unused: impl Fn()) {
        let ended = poll_fn(|cx| self.poll(cx, &unused)).await;
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, unused: &impl Fn()) -> Poll<Result<(), ::h2::Error>> {
        if let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx) {
            return Poll::Ready(ended);
        }
        let room = self.connection.max_concurrent_send_streams().min(STREAMS_MAX);
        if self.shared.room.swap(room, Ordering::Relaxed) != room {
            self.shared.freed.notify_waiters();
        }
        loop {
            let pong = self.pings.as_mut().is_some_and(|p| matches!(p.poll_pong(cx), Poll::Ready(Ok(_))));
            let seen = Seen {
                due: self.timer.as_mut().poll(cx).is_ready(),
                pong,
                streams: self.shared.streams(),
                opened: self.shared.opened.load(Ordering::Relaxed),
                heard: self.shared.heard.load(Ordering::Relaxed),
            };
            match self.keepalive.step(seen) {
                Action::Nothing => return Poll::Pending,
                Action::Wait(time) => self.timer.as_mut().reset(Instant::now() + time),
                Action::Ping(time) => {
                    if let Some(pings) = &mut self.pings {
                        // Fails only while another is under way.
                        let _ = pings.send_ping(Ping::opaque());
                    }
                    self.timer.as_mut().reset(Instant::now() + time);
                }
                Action::Dead => {
                    tracing::debug!("the peer does not answer pings");
                    self.shared.dead.store(true, Ordering::Release);
                    return Poll::Ready(Ok(()));
                }
                Action::Close => {
                    // With its last handle gone, the connection says goodbye by itself.
                    unused();
                    self.timer.as_mut().reset(Instant::now() + self.keepalive.idle_timeout());
                }
            }
        }
    }
}
