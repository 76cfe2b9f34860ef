//! A request's body on its way to the target: whose turn it is, since when, and who broke it.
//!
//! ```text
//!  client ─► Incoming ─► Upload ─► connection to the target
//!                          └ Progress: read by whoever waits for the response
//! ```
//!
//! A client that expects `100 Continue` is not asked for its body before the app says so (RFC 9110 §10.1.1): asking is
//! what makes the server say it in the app's name.

use std::error::Error;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep};

use crate::io::Wire;
use crate::kept::Kept;

/// How long a client that expects to be told to continue is left waiting: an app that does not know the expectation
/// says nothing.
const CONTINUE_MAX: Duration = Duration::from_secs(5);
/// A client need not wait (RFC 9110 §10.1.1), and that it does not is seen this soon.
const CONTINUE_LOOK: Duration = Duration::from_millis(100);

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The client's, to send.
    Client,
    /// The target's, to take.
    Target,
    /// Nobody's: the body is over.
    Done,
    /// The client ended it before its end.
    Left,
    /// The client sent what is no body.
    Malformed,
}

/// Where a body stands.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    turn: Turn,
    since: Instant,
    /// Whether the client may be asked for the body.
    asked: bool,
    /// Nobody wants it any more.
    abandoned: bool,
    waker: Option<Waker>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Incoming,
    progress: Arc<Progress>,
    expects: Option<Expects>,
}

/// A client that waits to be told to continue.
#[derive(Debug)]
struct Expects {
    wire: Arc<Wire>,
    until: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// A request's body, or none where the request has none or is a repetition.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Streamed(Upload),
    /// Remembered while it passes, or again.
    Kept(Kept<UploadError>, Option<Arc<Progress>>),
    Empty,
}

/// Why a body cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Client(#[from] hyper::Error),
    #[error("nobody wants this body any more")]
    Abandoned,
}

impl Progress {
    /// Whose turn it is and since when.
    pub(crate) fn turn(&self) -> (Turn, Instant) {
        let inner = self.0.lock();
        (inner.turn, inner.since)
    }

    /// The app said `100 Continue`.
    pub(crate) fn go_on(&self) {
        let mut inner = self.0.lock();
        inner.asked = true;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// The response is over: a body that was never asked for is not waited for.
    pub(crate) fn abandon(&self) {
        let mut inner = self.0.lock();
        inner.abandoned = true;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    fn set(&self, turn: Turn) {
        let mut inner = self.0.lock();
        // Waiting for the same again is no progress.
        if inner.turn != turn || turn == Turn::Target {
            inner.since = Instant::now();
        }
        inner.turn = turn;
    }
}

impl Expects {
    /// Ready once the client may be asked, whoever says so.
    fn poll(&mut self, cx: &mut Context<'_>, progress: &Progress) -> Poll<Result<(), UploadError>> {
        loop {
            {
                let mut inner = progress.0.lock();
                if inner.abandoned {
                    return Poll::Ready(Err(UploadError::Abandoned));
                }
                if !inner.asked && (self.wire.has_more_than_a_head() || Instant::now() >= self.until) {
                    inner.asked = true;
                }
                if inner.asked {
                    return Poll::Ready(Ok(()));
                }
                inner.waker = Some(cx.waker().clone());
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.sleep.as_mut().reset(Instant::now() + CONTINUE_LOOK);
        }
    }
}

impl RequestBody {
    /// `expecting`: the connection of a client that waits to be told to continue.
    pub(crate) fn new(body: Incoming, expecting: Option<Arc<Wire>>) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let now = Instant::now();
        let inner = Inner {
            turn: Turn::Target,
            since: now,
            asked: expecting.is_none(),
            abandoned: false,
            waker: None,
        };
        let expects = expecting.map(|wire| Expects {
            wire,
            until: now + CONTINUE_MAX,
            sleep: Box::pin(sleep(CONTINUE_LOOK)),
        });
        Self::Streamed(Upload { body, progress: Arc::new(Progress(Mutex::new(inner))), expects })
    }

    /// Where it stands, if there is one.
    pub(crate) fn progress(&self) -> Option<&Arc<Progress>> {
        match self {
            Self::Streamed(upload) => Some(&upload.progress),
            Self::Kept(_, progress) => progress.as_ref(),
            Self::Empty => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let upload = match self.get_mut() {
            Self::Streamed(upload) => upload,
            Self::Kept(body, _) => return body.poll_frame(cx),
            Self::Empty => return Poll::Ready(None),
        };
        if let Some(expects) = &mut upload.expects {
            match ready!(expects.poll(cx, &upload.progress)) {
                Ok(()) => upload.expects = None,
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        let polled = Pin::new(&mut upload.body).poll_frame(cx);
        upload.progress.set(match &polled {
            Poll::Pending => Turn::Client,
            Poll::Ready(None) => Turn::Done,
            Poll::Ready(Some(Ok(_))) if upload.body.is_end_stream() => Turn::Done,
            Poll::Ready(Some(Ok(_))) => Turn::Target,
            Poll::Ready(Some(Err(error))) => broken_by_client(error),
        });
        polled.map(|frame| frame.map(|frame| frame.map_err(UploadError::Client)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed(upload) => upload.body.is_end_stream(),
            Self::Kept(body, _) => body.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed(upload) => upload.body.size_hint(),
            Self::Kept(body, _) => body.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
        }
    }
}

/// A client that is gone, or one that sends nonsense.
fn broken_by_client(error: &hyper::Error) -> Turn {
    let mut source = error.source();
    while let Some(e) = source {
        if let Some(e) = e.downcast_ref::<std::io::Error>()
            && matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)
        {
            return Turn::Malformed;
        }
        source = e.source();
    }
    Turn::Left
}
