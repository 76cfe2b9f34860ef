//! The body of a request that may have to be sent again: remembered while it passes, as long as that is short.
//!
//! ```text
//!  client's body ─► Kept (first attempt) ─► connection
//!                     │ remembers ≤64 KiB           while its Keeper exists
//!                     └────────────► Kept (next attempt): what is remembered, then the rest of the client's body
//! ```
//!
//! Only the newest attempt reads on. An older one that is still polled gets nothing more, rather than an end: to its
//! peer an end would mean that the request is complete.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

/// A longer body cannot be sent again, in bytes. Linkerd's.
const KEEP_MAX_BYTES: usize = 64 << 10;

/// Gives a body to attempts. While it exists, what passes is remembered.
#[derive(Debug)]
pub(crate) struct Keeper<E>(Arc<Mutex<Source<E>>>);

/// The body of one attempt.
#[derive(Debug)]
pub(crate) struct Kept<E> {
    source: Arc<Mutex<Source<E>>>,
    attempt: u32,
    /// Remembered frames that this attempt has sent.
    sent: usize,
    over: bool,
}

/// The client's body, and what was read of it.
struct Source<E> {
    body: Box<dyn Body<Data = Bytes, Error = E> + Send + Unpin>,
    /// Everything that was read, as long as `whole`.
    read: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    bytes: usize,
    whole: bool,
    ended: bool,
    /// The client broke it.
    broken: bool,
    attempt: u32,
    heard: Option<Instant>,
}

impl<E> Keeper<E> {
    pub(crate) fn new(body: impl Body<Data = Bytes, Error = E> + Send + Unpin + 'static) -> Self {
        Self(Arc::new(Mutex::new(Source::new(body))))
    }

    /// The body for the first attempt.
    pub(crate) fn body(&self) -> Kept<E> {
        let attempt = self.0.lock().attempt;
        Kept { source: self.0.clone(), attempt, sent: 0, over: false }
    }

    /// The body once more, for the next; `None` if it is not at hand.
    pub(crate) fn again(&self) -> Option<Kept<E>> {
        {
            let mut source = self.0.lock();
            if !source.whole || source.broken {
                return None;
            }
            source.attempt = source.attempt.wrapping_add(1);
        }
        Some(self.body())
    }

    /// When the client last sent something of it.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.0.lock().heard
    }
}

impl<E> std::fmt::Debug for Source<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("bytes", &self.bytes)
            .field("whole", &self.whole)
            .finish_non_exhaustive()
    }
}

impl<E> Source<E> {
    fn new(body: impl Body<Data = Bytes, Error = E> + Send + Unpin + 'static) -> Self {
        Self {
            // What is known to be too long need not be remembered in part.
            whole: body.size_hint().lower() <= KEEP_MAX_BYTES as u64,
            body: Box::new(body),
            read: Vec::new(),
            trailers: None,
            bytes: 0,
            ended: false,
            broken: false,
            attempt: 0,
            heard: None,
        }
    }

    /// Remembers a frame if it may be needed again.
    fn keep(&mut self, frame: &Frame<Bytes>, wanted: bool) {
        self.heard = Some(Instant::now());
        if !self.whole {
            return;
        }
        if let Some(data) = frame.data_ref() {
            self.bytes = self.bytes.saturating_add(data.len());
            // A frame may be a slice of a large buffer, and very small ones cost their handles.
            self.bytes = self.bytes.saturating_add(size_of::<Bytes>());
            self.read.push(data.clone());
        } else {
            self.trailers = frame.trailers_ref().cloned();
        }
        if !wanted || self.bytes > KEEP_MAX_BYTES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.whole = false;
        self.read = Vec::new();
        self.trailers = None;
    }
}

impl<E> Kept<E> {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        // Without its keeper there is no further attempt.
        let wanted = Arc::strong_count(&self.source) > 1;
        let mut source = self.source.lock();
        if source.attempt != self.attempt {
            return Poll::Pending;
        }
        if self.over {
            return Poll::Ready(None);
        }
        if let Some(data) = source.read.get(self.sent) {
            self.sent += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        if source.ended {
            self.over = true;
            return Poll::Ready(source.trailers.clone().map(|t| Ok(Frame::trailers(t))));
        }
        match Pin::new(&mut *source.body).poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                (source.ended, self.over) = (true, true);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                source.broken = true;
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                source.keep(&frame, wanted);
                self.over = frame.is_trailers();
                source.ended = self.over || source.body.is_end_stream();
                self.sent = source.read.len();
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let source = self.source.lock();
        self.over || source.ended && self.sent >= source.read.len() && source.trailers.is_none()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let source = self.source.lock();
        let left: u64 = source.read.iter().skip(self.sent).map(|b| b.len() as u64).sum();
        let rest = if source.ended { SizeHint::with_exact(0) } else { source.body.size_hint() };
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint.set_lower(rest.lower().saturating_add(left));
        hint
    }
}

#[cfg(test)]
mod tests;
