//! Connections to one address: HTTP/1.1 ones kept for the next request, HTTP/2 ones shared.
//!
//! Written here rather than taken from hyper-util's client because the proxy must know whether a request that failed
//! was ever sent (only then it may be sent elsewhere), must count its connections, and must drop those of an
//! endpoint that left. HTTP/1.1 is hyper's connection; why HTTP/2 is not, [`h2`] says.

mod h2;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::io::CountedIo;
use crate::limits::HEAD_MAX_BYTES;
use crate::message::Protocol;
use crate::metrics::Transport;
use crate::stream::BodyError;
use crate::upload::RequestBody;

/// Idle connections kept for one address.
const IDLE_MAX: usize = 256;

type H1 = http1::SendRequest<RequestBody>;

/// Times of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    /// An unused connection is closed after this. Must be shorter than what servers grant, or requests race
    /// with their closing.
    pub(crate) idle_timeout: Duration,
    /// How long a peer may take nothing of what is written to it.
    pub(crate) write_stall: Duration,
}

/// Why no response came.
#[derive(Debug)]
pub(crate) enum SendError {
    /// The request was not sent; here it is again.
    NotSent { request: Box<Request<RequestBody>>, error: io::Error },
    /// It was sent, and the peer did not process it: it may be sent again whatever its method. Here it is, unless
    /// some of its body is gone.
    NotProcessed { request: Option<Box<Request<RequestBody>>>, error: BodyError },
    /// It was sent, perhaps in part.
    Broken { error: BodyError, reused: bool },
}

/// Connections to one address.
#[derive(Debug)]
pub(crate) struct Pool {
    addr: SocketAddr,
    settings: Settings,
    transport: Arc<Transport>,
    idle: Mutex<Vec<Unused>>,
    reaping: AtomicBool,
    h2: Arc<h2::Connections>,
    retired: AtomicBool,
}

#[derive(Debug)]
struct Unused {
    sender: H1,
    /// When it is too old to be used: its server may be closing it.
    until: Instant,
}

/// A response's body as it comes from the target.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    H1(Incoming),
    H2(h2::Body),
}

/// A connection that a response is still using.
#[derive(Debug)]
pub(crate) struct Lease(Option<Kept>);

#[derive(Debug)]
struct Kept {
    pool: Arc<Pool>,
    sender: H1,
    /// How long its server keeps it, if it said so.
    granted: Option<Duration>,
}

impl Pool {
    pub(crate) fn new(addr: SocketAddr, settings: Settings, transport: Arc<Transport>) -> Self {
        Self {
            h2: Arc::new(h2::Connections::new(addr, settings, transport.clone())),
            addr,
            settings,
            transport,
            idle: Mutex::default(),
            reaping: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        }
    }

    /// Sends a request; resolves with the response's head. `on_send` is called once, just before the first
    /// attempt to write it.
    pub(crate) async fn send(
        self: &Arc<Self>,
        request: Request<RequestBody>,
        protocol: Protocol,
        on_send: impl FnOnce(),
    ) -> Result<(Response<ResponseBody>, Lease), SendError> {
        match protocol {
            Protocol::H1 => {
                let (response, lease) = self.send_h1(request, on_send).await?;
                Ok((response.map(ResponseBody::H1), lease))
            }
            Protocol::H2 => {
                let response = self.h2.send(request, on_send).await?;
                Ok((response.map(ResponseBody::H2), Lease(None)))
            }
        }
    }

    /// A connection for what is not looked into.
    pub(crate) async fn connect_opaque(&self) -> io::Result<CountedIo> {
        let mut io = connect(self.addr, &self.settings, &self.transport).await?;
        io.leave_alone();
        Ok(io)
    }

    /// The endpoint left: nothing new is sent, what is in flight finishes, unused connections close.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.idle.lock().clear();
        self.h2.retire();
    }

    async fn send_h1(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
        on_send: impl FnOnce(),
    ) -> Result<(Response<Incoming>, Lease), SendError> {
        let mut on_send = Some(on_send);
        loop {
            let (mut sender, reused) = match self.take_unused() {
                Some(sender) => (sender, true),
                None => match self.connect_h1().await {
                    Ok(sender) => (sender, false),
                    Err(error) => return Err(SendError::NotSent { request: Box::new(request), error }),
                },
            };
            if let Some(on_send) = on_send.take() {
                on_send();
            }
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let granted = granted(response.headers());
                    return Ok((response, Lease(Some(Kept { pool: self.clone(), sender, granted }))));
                }
                Err(mut failed) => match failed.take_message() {
                    // Closed while it was unused: another one, or at last a fresh one.
                    Some(back) if reused => request = back,
                    Some(back) => return Err(not_sent(back)),
                    None => return Err(SendError::Broken { error: failed.into_error().into(), reused }),
                },
            }
        }
    }

    /// The most recently used connection that is free, so that the others can go idle and close.
    fn take_unused(&self) -> Option<H1> {
        let mut idle = self.idle.lock();
        let now = Instant::now();
        idle.retain(|c| !c.sender.is_closed() && c.until > now);
        let free = idle.iter().rposition(|c| c.sender.is_ready())?;
        Some(idle.remove(free).sender)
    }

    async fn connect_h1(&self) -> io::Result<H1> {
        let io = TokioIo::new(connect(self.addr, &self.settings, &self.transport).await?);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX_BYTES)
            // What a server gets wrong in ways that have one meaning is put right on the way (RFC 9112 §5.1, §5.2).
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(io)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(async move {
            // Its request, if any, sees the error.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    fn keep(self: &Arc<Self>, sender: H1, granted: Option<Duration>) {
        let limit = self.settings.idle_timeout;
        let limit = granted.map_or(limit, |granted| limit.min(granted));
        if limit.is_zero() || sender.is_closed() || self.retired.load(Ordering::Acquire) {
            return;
        }
        {
            let mut idle = self.idle.lock();
            if idle.len() >= IDLE_MAX {
                idle.remove(0);
            }
            idle.push(Unused { sender, until: Instant::now() + limit });
        }
        self.reap();
    }

    /// Closes what stayed unused. Runs only while there is something to close, so that a quiet proxy sleeps.
    fn reap(self: &Arc<Self>) {
        if self.reaping.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, limit) = (Arc::downgrade(self), self.settings.idle_timeout);
        tokio::spawn(async move {
            loop {
                sleep(limit).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut idle = pool.idle.lock();
                let now = Instant::now();
                idle.retain(|c| !c.sender.is_closed() && c.until > now);
                if idle.is_empty() {
                    // Under the lock, so that a connection kept next starts the next reaper.
                    pool.reaping.store(false, Ordering::Release);
                    return;
                }
            }
        });
    }
}

impl Lease {
    /// The response is over: the connection may serve another request.
    pub(crate) fn give_back(self) {
        if let Some(Kept { pool, sender, granted }) = self.0 {
            pool.keep(sender, granted);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::H1(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::Stream),
            Self::H2(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::H1(body) => body.is_end_stream(),
            Self::H2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::H1(body) => body.size_hint(),
            Self::H2(body) => body.size_hint(),
        }
    }
}

/// How long a server says that it keeps an unused connection (`Keep-Alive: timeout=5`), less what a request needs to
/// get there before the end.
fn granted(headers: &http::HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|part| {
        let (name, number) = part.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| number.trim().parse::<u32>().ok()).flatten()
    })?;
    let granted = Duration::from_secs(seconds.into());
    Some(granted - (granted / 2).min(Duration::from_secs(1)))
}

async fn connect(addr: SocketAddr, settings: &Settings, transport: &Arc<Transport>) -> io::Result<CountedIo> {
    let stream = timeout(settings.connect_timeout, TcpStream::connect(addr))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))??;
    Ok(CountedIo::new(stream, transport.open(), settings.write_stall))
}

fn not_sent(request: Request<RequestBody>) -> SendError {
    let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the peer closed the connection at once");
    SendError::NotSent { request: Box::new(request), error }
}
