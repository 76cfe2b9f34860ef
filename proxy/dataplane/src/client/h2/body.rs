//! A response's body, and with it the stream's place on its connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::h2::RecvStream;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio_util::task::AbortOnDropHandle;

use super::connection::Slot;
use crate::stream::BodyError;

/// Largest head, and largest trailers, that are forwarded; what is larger resets its stream. In bytes, as RFC 9113
/// §6.5.2 counts them.
pub(super) const HEADERS_MAX_BYTES: usize = 256 << 10;
/// What RFC 9113 adds to each field.
const FIELD_OVERHEAD_BYTES: usize = 32;

/// See the module.
#[derive(Debug)]
pub(crate) struct Body {
    stream: RecvStream,
    /// Of the data that is still to come.
    length: Option<u64>,
    data_over: bool,
    /// Until the end.
    slot: Option<Slot>,
    /// The request's body, if it is not over yet. It ends with us, unless we end well: then it is the peer who says
    /// whether it wants the rest.
    upload: Option<AbortOnDropHandle<()>>,
}

impl Body {
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        slot: Slot,
        upload: Option<AbortOnDropHandle<()>>,
    ) -> Self {
        let mut this = Self { stream, length, data_over: false, slot: Some(slot), upload };
        if this.stream.is_end_stream() {
            this.over();
        }
        this
    }

    fn over(&mut self) {
        self.data_over = true;
        self.slot = None;
        if let Some(upload) = self.upload.take() {
            drop(upload.detach());
        }
    }

    fn broke(&mut self, error: ::h2::Error) -> BodyError {
        let dead = self.slot.take().is_some_and(|s| s.is_dead());
        self.upload = None;
        if dead { BodyError::Dead } else { BodyError::H2(error) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if !this.data_over {
            match ready!(this.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Taken is taken: our reader asks for no more than it can pass on.
                    let _ = this.stream.flow_control().release_capacity(data.len());
                    this.length = this.length.map(|l| l.saturating_sub(data.len() as u64));
                    if let Some(slot) = &this.slot {
                        slot.heard();
                    }
                    if this.stream.is_end_stream() {
                        this.over();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(this.broke(error)))),
                None => this.data_over = true,
            }
        }
        match ready!(this.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) if size(&trailers) > HEADERS_MAX_BYTES => {
                this.over();
                Poll::Ready(Some(Err(BodyError::TooLarge)))
            }
            Ok(trailers) => {
                this.over();
                Poll::Ready(trailers.map(|t| Ok(Frame::trailers(t))))
            }
            Err(error) => Poll::Ready(Some(Err(this.broke(error)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.slot.is_none() && self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// As RFC 9113 counts.
pub(super) fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(n, v)| n.as_str().len() + v.len() + FIELD_OVERHEAD_BYTES).sum()
}
