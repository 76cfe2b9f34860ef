//! Response bodies on their way through: streamed frame by frame, measured, and holding what the request holds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use proxy_core::classify::{Class, Eos, StreamError};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::caller::Caller;
use crate::client::{Lease, ResponseBody};
use crate::io::Far;
use crate::limits::Limits;
use crate::metrics::Target;
use crate::stream::{BodyError, stream_error};
use crate::upload::Progress;

/// How often it is looked whether a client in a pause is still there.
const LOOK_FIRST: Duration = Duration::from_secs(1);
const LOOK_LAST: Duration = Duration::from_secs(30);

/// What the proxy answers with.
#[derive(Debug)]
pub(crate) enum ProxyBody {
    /// Its own words.
    Full(Option<Bytes>),
    /// The target's.
    Streamed(Box<Streamed>),
}

/// What a response holds until it is over: counts of what is in flight, which end when this is dropped.
pub(crate) enum Held {
    Guards {
        _guards: Box<dyn Send + Sync>,
    },
    /// Wants to know how it went. Its guards are what the closure captured.
    Telling(Box<dyn FnOnce(Class) + Send + Sync>),
}

/// A response stream.
#[derive(Debug)]
pub(crate) struct Streamed {
    inner: ResponseBody,
    meter: Meter,
    /// Taken when the stream is over and the connection can serve another request.
    lease: Option<Lease>,
    held: Option<Held>,
    idle: Idle,
    caller: Arc<Caller>,
    /// The request's body, which may not be over yet.
    upload: Option<Arc<Progress>>,
}

/// Records what Linkerd records of one response, each once.
#[derive(Debug)]
pub(crate) struct Meter {
    target: Arc<Target>,
    status: u16,
    eos: Option<Eos>,
    started: Instant,
    latency_recorded: bool,
}

/// A deadline that moves with each frame, but touches the timer only when a wait outlasts it.
#[derive(Debug)]
struct Idle {
    limit: Duration,
    half_close: Duration,
    last_frame: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

/// How a pause ended.
enum Paused {
    TooLong,
    Left,
}

impl Held {
    pub(crate) fn new(guards: impl Send + Sync + 'static) -> Self {
        Self::Guards { _guards: Box::new(guards) }
    }

    /// The same for whoever wants to know how the response went; `over` is called when it is over, or never if it
    /// was held by none.
    pub(crate) fn telling(over: impl FnOnce(Class) + Send + Sync + 'static) -> Self {
        Self::Telling(Box::new(over))
    }

    pub(crate) fn over(self, class: Option<Class>) {
        if let (Self::Telling(over), Some(class)) = (self, class) {
            over(class);
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl ProxyBody {
    pub(crate) fn full(bytes: Bytes) -> Self {
        Self::Full(Some(bytes).filter(|b| !b.is_empty()))
    }
}

impl Meter {
    /// `grpc`: whether the request was.
    pub(crate) fn new<B>(target: Arc<Target>, started: Instant, grpc: bool, response: &Response<B>) -> Self {
        let status = response.status().as_u16();
        let eos = Eos::start(status, grpc, grpc_status(response.headers()));
        Self { target, status, eos: Some(eos), started, latency_recorded: false }
    }

    /// What is known by the head.
    pub(crate) fn eos(&self) -> Option<Eos> {
        self.eos
    }

    pub(crate) fn first_frame(&mut self) {
        if !std::mem::replace(&mut self.latency_recorded, true) {
            let us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.target.latency(self.status, us);
        }
    }

    /// The class, the first time.
    pub(crate) fn over(&mut self, class: impl FnOnce(Eos) -> Class) -> Option<Class> {
        self.first_frame();
        let class = class(self.eos.take()?);
        self.target.response(Some(self.status), class);
        Some(class)
    }
}

impl Streamed {
    pub(crate) fn new(
        inner: ResponseBody,
        meter: Meter,
        lease: Lease,
        held: Held,
        limits: &Limits,
        caller: Arc<Caller>,
        upload: Option<Arc<Progress>>,
    ) -> Self {
        let (limit, half_close) = (limits.stream_idle(), limits.half_close());
        let idle = Idle { limit, half_close, last_frame: Instant::now(), sleep: None };
        let mut this = Self { inner, meter, lease: Some(lease), held: Some(held), idle, caller, upload };
        if this.inner.is_end_stream() {
            this.end(None);
        }
        this
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) {
        let class = self.meter.over(|eos| eos.end(trailers.and_then(grpc_status)));
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        self.let_go(class);
    }

    fn broke(&mut self, error: StreamError) {
        let class = self.meter.over(|_| Class::Error(error));
        self.lease = None;
        self.caller.broke_off();
        self.let_go(class);
    }

    fn let_go(&mut self, class: Option<Class>) {
        if let Some(held) = self.held.take() {
            held.over(class);
        }
        if let Some(upload) = self.upload.take() {
            upload.abandon();
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // Dropped before its end: the client left.
        let class = self.meter.over(Eos::canceled);
        self.let_go(class);
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Self::Streamed(s) => s.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Streamed(s) => s.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            Self::Streamed(s) => s.inner.size_hint(),
        }
    }
}

impl Streamed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Pending => Poll::Ready(Some(Err(match ready!(self.idle.poll(cx, &self.caller)) {
                Paused::TooLong => {
                    self.broke(StreamError::Timeout);
                    BodyError::Idle(self.idle.limit)
                }
                Paused::Left => {
                    let class = self.meter.over(Eos::canceled);
                    self.lease = None;
                    self.let_go(class);
                    BodyError::Left
                }
            }))),
            Poll::Ready(None) => {
                self.end(None);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.broke(stream_error(&error));
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.meter.first_frame();
                self.idle.last_frame = Instant::now();
                if let Some(trailers) = frame.trailers_ref() {
                    self.end(Some(trailers));
                } else if self.inner.is_end_stream() {
                    // Whoever polls may know the length and never ask again.
                    self.end(None);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }
}

impl Idle {
    /// Ready once nothing came for the limit, or nobody is there to whom it could go. While something is written, a
    /// client that left shows by itself; in a pause it is looked for, less and less often.
    fn poll(&mut self, cx: &mut Context<'_>, caller: &Caller) -> Poll<Paused> {
        let due = self.last_frame + self.limit;
        let next = |now: Instant, last: Instant| due.min(now + (now - last).clamp(LOOK_FIRST, LOOK_LAST));
        let last = self.last_frame;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(next(last, last))));
        while sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match caller.far() {
                Far::Gone => return Poll::Ready(Paused::Left),
                Far::HalfClosed if now >= last + self.half_close => return Poll::Ready(Paused::Left),
                _ if now >= due => return Poll::Ready(Paused::TooLong),
                Far::HalfClosed => sleep.as_mut().reset(next(now, last).min(last + self.half_close)),
                _ => sleep.as_mut().reset(next(now, last)),
            }
        }
        Poll::Pending
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("grpc-status").map(http::HeaderValue::as_bytes)
}
