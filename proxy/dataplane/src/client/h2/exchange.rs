//! One request on one connection, until its response's head.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ::h2::client::ResponseFuture;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body as _;
use tokio_util::task::AbortOnDropHandle;

use super::SendError;
use super::body::{Body, HEADERS_MAX_BYTES, size};
use super::connection::{Connection, Slot};
use super::outcome::Failure;
use super::upload::Upload;
use crate::stream::BodyError;
use crate::upload::RequestBody;

/// What is to be called with each informational response (1xx), as an extension of the request.
#[derive(Clone)]
pub(crate) struct OnInformational(pub(crate) Arc<dyn Fn(Response<()>) + Send + Sync>);

/// How an attempt ended.
pub(super) enum Exchanged {
    Response(Response<Body>),
    /// The connection takes no more; nothing was sent.
    Closed(Box<Request<RequestBody>>),
    Failed(SendError),
}

/// A stream that waits for its response.
struct Stream {
    response: ResponseFuture,
    upload: Option<Upload<RequestBody>>,
    informational: Option<OnInformational>,
}

impl fmt::Debug for OnInformational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnInformational")
    }
}

/// Dropping this resets the stream.
pub(super) async fn exchange(
    connection: &Connection,
    mut slot: Slot,
    request: Request<RequestBody>,
    stall_limit: Duration,
    on_send: &mut Option<impl FnOnce()>,
) -> Exchanged {
    let mut sender = connection.sender.clone();
    if let Poll::Ready(Err(_)) = sender.poll_ready(&mut Context::from_waker(Waker::noop())) {
        return Exchanged::Closed(Box::new(request));
    }
    let (mut parts, body) = request.into_parts();
    let informational = parts.extensions.remove::<OnInformational>();
    let (head, end) = (head(&parts), body.is_end_stream());
    if let Some(on_send) = on_send.take() {
        on_send();
    }
    let reused = !connection.shared.opens();
    let written = connection.shared.written();
    let (response, sink) = match sender.send_request(head, end) {
        Ok(stream) => stream,
        // It closed since it was asked.
        Err(error) if error.is_io() || error.is_go_away() => {
            return not_processed(parts, Some(body), error.into());
        }
        Err(error) => return broken(error.into(), reused),
    };
    // A sender is a sign of life for its connection.
    drop(sender);
    let (bodyless, upload) = match end {
        true => (Some(body), None),
        false => (None, Some(Upload::new(sink, body, stall_limit))),
    };
    let mut stream = Stream { response, upload, informational };
    let response = match poll_fn(|cx| stream.poll(cx)).await {
        Ok(response) => response,
        Err(BodyError::H2(error)) => {
            let failure = Failure::of(&error, connection.shared.written() != written);
            if failure.not_processed() {
                let body = bodyless.or_else(|| stream.upload.and_then(Upload::untouched));
                return not_processed(parts, body, error.into());
            }
            return broken(if slot.is_dead() { BodyError::Dead } else { error.into() }, reused);
        }
        Err(error) => return broken(error, reused),
    };
    slot.heard();
    if size(response.headers()) > HEADERS_MAX_BYTES {
        return broken(BodyError::TooLarge, reused);
    }
    let upload = stream.upload.map(|mut upload| {
        let half = slot.split();
        AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = poll_fn(|cx| upload.poll(cx)).await {
                tracing::debug!(%error, "the request's body broke after the response began");
            }
            drop(half);
        }))
    });
    let length = length(&parts.method, &response);
    Exchanged::Response(response.map(|stream| Body::new(stream, length, slot, upload)))
}

impl Stream {
    /// The body moves on while the response is waited for.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<::h2::RecvStream>, BodyError>> {
        let uploaded = self.upload.as_mut().map_or(Poll::Pending, |u| u.poll(cx));
        if let Poll::Ready(result) = uploaded {
            // One that sent nothing because the stream is over may still give its body back.
            if let Err(error) = result {
                return Poll::Ready(Err(error));
            }
            self.upload = self.upload.take().filter(|u| !u.is_touched());
        }
        if let Some(OnInformational(call)) = &self.informational {
            while let Poll::Ready(Some(Ok(response))) = self.response.poll_informational(cx) {
                call(response);
            }
        }
        Pin::new(&mut self.response).poll(cx).map_err(BodyError::H2)
    }
}

fn not_processed(parts: request::Parts, body: Option<RequestBody>, error: BodyError) -> Exchanged {
    let request = body.map(|body| Box::new(Request::from_parts(parts, body)));
    Exchanged::Failed(SendError::NotProcessed { request, error })
}

fn broken(error: BodyError, reused: bool) -> Exchanged {
    Exchanged::Failed(SendError::Broken { error, reused })
}

/// What is sent; the original stays, should the peer refuse it.
fn head(parts: &request::Parts) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = parts.method.clone();
    *head.uri_mut() = parts.uri.clone();
    *head.version_mut() = parts.version;
    *head.headers_mut() = parts.headers.clone();
    head
}

/// Bytes that the body is going to have, if the response says so. The h2 crate compares it with what comes.
fn length<B>(method: &Method, response: &Response<B>) -> Option<u64> {
    if *method == Method::HEAD || response.status() == StatusCode::NOT_MODIFIED {
        return None;
    }
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
