//! A request's body on its way to the peer, as fast as the peer takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::h2::{Reason, SendStream};
use bytes::Bytes;
use http_body::Body;
use tokio::time::{Sleep, sleep};

use crate::stream::BodyError;

/// See the module.
#[derive(Debug)]
pub(super) struct Upload<B> {
    sink: SendStream<Bytes>,
    source: B,
    /// Taken from the source, and not yet by the sink.
    chunk: Bytes,
    /// Nothing comes after the chunk.
    last: bool,
    /// Something was taken from the source.
    touched: bool,
    stall_limit: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Upload<B> {
    pub(super) fn new(sink: SendStream<Bytes>, source: B, stall_limit: Duration) -> Self {
        Self { sink, source, chunk: Bytes::new(), last: false, touched: false, stall_limit, stall: None }
    }

    pub(super) fn is_touched(&self) -> bool {
        self.touched
    }

    /// The body, if it is still whole.
    pub(super) fn untouched(self) -> Option<B> {
        (!self.touched).then_some(self.source)
    }

    /// Ready when nothing more is to be sent: all was, or the peer wants no more, which its response explains. An
    /// error is the source's, or that the peer takes nothing; the stream is then reset.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            if !self.chunk.is_empty() {
                match ready!(self.poll_room(cx)) {
                    Ok(Some(room)) => {
                        let part = self.chunk.split_to(room.min(self.chunk.len()));
                        let end = self.last && self.chunk.is_empty();
                        if self.sink.send_data(part, end).is_err() || end {
                            return Poll::Ready(Ok(()));
                        }
                    }
                    Ok(None) => return Poll::Ready(Ok(())),
                    Err(error) => return Poll::Ready(Err(error)),
                }
                continue;
            }
            let Poll::Ready(frame) = Pin::new(&mut self.source).poll_frame(cx) else {
                // The peer may have answered, and want no more.
                ready!(self.sink.poll_reset(cx)).ok();
                return Poll::Ready(Ok(()));
            };
            self.touched = true;
            // What fails here fails because the stream is over.
            match frame.map(|f| f.map(http_body::Frame::into_data)) {
                None => {
                    let _ = self.sink.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => {
                    self.sink.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(error.into()));
                }
                Some(Ok(Ok(data))) => {
                    self.last = self.source.is_end_stream();
                    if data.is_empty() && self.last {
                        let _ = self.sink.send_data(data, true);
                        return Poll::Ready(Ok(()));
                    }
                    self.chunk = data;
                }
                Some(Ok(Err(frame))) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        let _ = self.sink.send_trailers(trailers);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }

    /// Bytes that the peer takes; `None` if none any more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, BodyError>> {
        self.sink.reserve_capacity(self.chunk.len());
        let room = match self.sink.capacity() {
            0 => match self.sink.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => room,
                Poll::Ready(_) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    let limit = self.stall_limit;
                    let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(limit)));
                    ready!(stall.as_mut().poll(cx));
                    self.sink.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(BodyError::Stalled(limit)));
                }
            },
            room => room,
        };
        self.stall = None;
        Poll::Ready(Ok(Some(room)))
    }
}
