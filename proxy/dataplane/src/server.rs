//! A listening side: accepts, tells HTTP/1 from HTTP/2, serves, and ends politely.
//!
//! ```text
//!  accept ─► detect by the first bytes ─► hyper h1 / h2 ─► Side::serve
//!     │                          └─► neither: Side::tunnel
//!     │ at most max_connections; more wait in the kernel's queue
//!     └ Finishing: takes what the kernel already accepted, closes the port; idle connections close,
//!       busy ones after their response (Connection: close, GOAWAY)
//! ```

mod connection;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use proxy_core::detect::Detected;
use proxy_core::drain::{Observed, Phase};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::access::AccessLog;
use crate::body::ProxyBody;
use crate::caller::{Caller, OpenCount, OpenGuard};
use crate::inbound::Inbound;
use crate::io::CountedIo;
use crate::limits::HEAD_MAX_BYTES;
use crate::message::Protocol;
use crate::metrics::Transport;
use crate::outbound::Outbound;
use crate::stall::Streams;
use connection::{Activity, Busy, LAST_WORDS, Tracked, detect, drive, finishing};

const H2_STREAMS_MAX: u32 = 1_000;
/// What one upload may have on its way that its target did not take yet.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// The same of a connection: as many uploads as our own proxies send on one do not stop each other. Where there are
/// many connections each gets less, so that a target that takes nothing does not fill us with what is sent to it.
const CONNECTION_WINDOW_BYTES: u32 = 100 * STREAM_WINDOW_BYTES;
const CONNECTION_WINDOW_LEAST: u32 = 4 * STREAM_WINDOW_BYTES;
const UPLOADS_BYTES: usize = 16 << 20;
/// What of one response waits for its client to take it, beside the window of where it comes from.
const SEND_BYTES: usize = 64 << 10;
/// After accepting failed, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is being served.
#[derive(Clone)]
pub(crate) enum Side {
    Inbound(Arc<Inbound>),
    Outbound(Arc<Outbound>),
}

/// Limits of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    /// Until the first bytes.
    pub(crate) detect_timeout: Duration,
    /// For a request's head; on a connection kept alive this is also how long it may be unused.
    pub(crate) header_timeout: Duration,
    /// For a client that does not take what is written to it.
    pub(crate) write_stall: Duration,
}

/// A running side.
pub(crate) struct Server {
    side: Side,
    open: Arc<OpenCount>,
    abort: CancellationToken,
}

struct Connections {
    side: Side,
    limits: Limits,
    transport: Arc<Transport>,
    phase: watch::Receiver<Phase>,
    open: Arc<OpenCount>,
    abort: CancellationToken,
    /// HTTP/2 connections open.
    h2: Arc<OpenCount>,
    streams: Streams,
    access: Option<AccessLog>,
}

impl Side {
    async fn serve(&self, request: Request<Incoming>, caller: &Arc<Caller>) -> Response<ProxyBody> {
        match self {
            Self::Inbound(inbound) => inbound.serve(request, caller).await,
            Self::Outbound(outbound) => {
                let mut response = outbound.serve(request, caller).await;
                // That is between proxies.
                response.headers_mut().remove(proxy_api::header::NOT_SENT);
                response
            }
        }
    }

    /// Whether connections are not looked into.
    fn is_opaque(&self) -> bool {
        match self {
            Self::Inbound(inbound) => inbound.is_opaque(),
            Self::Outbound(_) => false,
        }
    }

    /// A connection that speaks nothing that we do.
    async fn tunnel(&self, io: CountedIo) {
        match self {
            Self::Inbound(inbound) => inbound.tunnel(io).await,
            Self::Outbound(_) => tracing::debug!("not HTTP, and where it should go is not known"),
        }
    }

    /// A request that the library refused before anybody saw it.
    fn refused_unseen(&self) {
        match self {
            Self::Inbound(inbound) => inbound.refused_unseen(),
            Self::Outbound(outbound) => outbound.refused_unseen(),
        }
    }
}

impl Server {
    /// Serves until the phase says otherwise.
    pub(crate) fn start(
        listener: TcpListener,
        side: Side,
        limits: Limits,
        access: Option<AccessLog>,
        transport: Arc<Transport>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let (open, abort) = (Arc::new(OpenCount::default()), CancellationToken::new());
        let connections = Connections {
            side: side.clone(),
            limits,
            transport,
            phase,
            open: open.clone(),
            abort: abort.clone(),
            h2: Arc::default(),
            streams: Streams::new(limits.write_stall),
            access,
        };
        tokio::spawn(Arc::new(connections).accept(listener, OpenGuard::new(&open)));
        Self { side, open, abort }
    }

    /// What a drain wants to know.
    pub(crate) fn observed(&self) -> Observed {
        let (in_flight, last_used_ms) = match &self.side {
            Side::Inbound(inbound) => (inbound.in_flight(), 0),
            Side::Outbound(outbound) => (outbound.in_flight(), outbound.last_used_ms()),
        };
        Observed { connections: self.open.get(), in_flight, last_used_ms }
    }

    /// Resolves when a connection closed since the last call.
    pub(crate) async fn closed_one(&self) {
        self.open.fell().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}

impl Connections {
    async fn accept(self: Arc<Self>, listener: TcpListener, _listening: OpenGuard) {
        let room = Arc::new(Semaphore::new(self.limits.connections_max));
        let mut phase = self.phase.clone();
        loop {
            let next = async {
                // Before accepting, so that what does not fit waits in the kernel's queue.
                let permit = room.clone().acquire_owned().await.ok();
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                next = next => next,
                () = finishing(&mut phase) => break,
                () = self.abort.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => self.spawn(stream, permit),
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Clients of these believe that they are connected; closing the port would reset them.
        for stream in accepted_by_kernel(listener) {
            self.spawn(stream, None);
        }
    }

    fn spawn(self: &Arc<Self>, stream: TcpStream, permit: Option<tokio::sync::OwnedSemaphorePermit>) {
        let (this, guard) = (self.clone(), OpenGuard::new(&self.open));
        tokio::spawn(async move {
            tokio::select! {
                () = this.clone().connection(stream) => {}
                () = this.abort.cancelled() => {}
            }
            drop((guard, permit));
        });
    }

    async fn connection(self: Arc<Self>, stream: TcpStream) {
        let client = if self.access.is_some() { stream.peer_addr().ok() } else { None };
        let mut io = CountedIo::new(stream, self.transport.open(), self.limits.write_stall);
        let mut phase = self.phase.clone();
        let detected = if self.side.is_opaque() { Some(Detected::Opaque) } else { None };
        let detected = match detected {
            Some(detected) => detected,
            None => {
                let mut detect = pin!(timeout(self.limits.detect_timeout, detect(&mut io)));
                let detected = tokio::select! {
                    biased;
                    detected = &mut detect => detected,
                    () = finishing(&mut phase) => timeout(LAST_WORDS, detect).await.unwrap_or_else(Err),
                };
                match detected {
                    Ok(Ok(Some(detected))) => detected,
                    Ok(Ok(None)) => return,
                    Ok(Err(error)) => return tracing::debug!(%error, "connection failed before a request"),
                    Err(_) => return tracing::debug!("no request in time"),
                }
            }
        };
        let protocol = match detected {
            Detected::H1 => Protocol::H1,
            Detected::H2 => Protocol::H2,
            Detected::More | Detected::Tls(_) | Detected::Opaque => return self.side.tunnel(io).await,
        };
        let this = self.clone();
        let activity = Arc::new(Activity::default());
        let busy = activity.clone();
        let caller =
            Arc::new(Caller::new(io.wire().clone(), protocol, self.open.clone(), self.abort.clone()));
        let service = service_fn(move |request| {
            let (this, caller, busy) = (this.clone(), caller.clone(), Busy::start(&busy));
            async move {
                let mut entry = this.access.as_ref().map(|log| Box::new(log.entry(&request, client)));
                let response = this.serve(request, &caller).await;
                if let Some(entry) = &mut entry {
                    entry.answered(&response);
                }
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, busy, entry)))
            }
        });
        let io = TokioIo::new(io);
        let limit = self.limits.header_timeout;
        let ended = match protocol {
            Protocol::H1 => {
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new());
                builder.header_read_timeout(self.limits.header_timeout);
                builder.max_buf_size(HEAD_MAX_BYTES);
                // A client that ended its side may wait for its answer; whether it left is looked for elsewhere.
                builder.half_close(true);
                let connection = builder.serve_connection(io, service).with_upgrades();
                drive(connection, &mut phase, None, |c| c.graceful_shutdown()).await
            }
            Protocol::H2 => {
                let _one = OpenGuard::new(&self.h2);
                let share = u32::try_from(UPLOADS_BYTES / self.h2.get().max(1)).unwrap_or(u32::MAX);
                let mut builder = http2::Builder::new(self.streams.clone());
                builder.timer(TokioTimer::new());
                builder.max_concurrent_streams(H2_STREAMS_MAX).max_header_list_size(HEAD_MAX_BYTES as u32);
                builder.initial_stream_window_size(STREAM_WINDOW_BYTES).max_send_buf_size(SEND_BYTES);
                builder.initial_connection_window_size(
                    share.clamp(CONNECTION_WINDOW_LEAST, CONNECTION_WINDOW_BYTES),
                );
                let unused = Some((&*activity, limit));
                drive(builder.serve_connection(io, service), &mut phase, unused, |c| c.graceful_shutdown())
                    .await
            }
        };
        if let Err(error) = ended {
            if error.is_parse() {
                self.side.refused_unseen();
            }
            tracing::debug!(%error, "connection ended");
        }
    }

    async fn serve(&self, request: Request<Incoming>, caller: &Arc<Caller>) -> Response<ProxyBody> {
        let version = request.version();
        caller.asks(version);
        let mut response = self.side.serve(request, caller).await;
        // From the first moment of a drain: whoever still uses this connection should find another proxy.
        let may_close = version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS;
        if may_close && *self.phase.borrow() > Phase::Serving {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A client that left between the kernel's accepting and ours, as opposed to want of descriptors or memory.
fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Connections that were accepted by the kernel and not yet by us. Closes the port.
fn accepted_by_kernel(listener: TcpListener) -> Vec<TcpStream> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    // Non-blocking, as tokio left it: ends with WouldBlock.
    std::iter::from_fn(|| listener.accept().ok())
        .filter_map(|(stream, _)| {
            stream.set_nonblocking(true).ok()?;
            TcpStream::from_std(stream).ok()
        })
        .collect()
}
