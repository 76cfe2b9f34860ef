//! What suffices to send a request again: its head, and its body as long as that is short.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body;
use tokio::time::Instant;

use crate::headers;
use crate::kept::Keeper;
use crate::upload::{Progress, RequestBody, UploadError};

/// A request that can perhaps be sent again. While it exists, the body that is being sent is remembered.
#[derive(Debug)]
pub(crate) struct Replay {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    version: Version,
    /// `None`: the request has no body.
    body: Option<Keeper<UploadError>>,
    progress: Option<Arc<Progress>>,
    tunnel: bool,
}

impl Replay {
    /// Takes a request; what is returned is to be sent in its place.
    pub(crate) fn keep(request: Request<RequestBody>) -> (Self, Request<RequestBody>) {
        let (head, body) = request.into_parts();
        let progress = body.progress().cloned();
        let keeper = (!body.is_end_stream()).then(|| Keeper::new(body));
        let body =
            keeper.as_ref().map_or(RequestBody::Empty, |k| RequestBody::Kept(k.body(), progress.clone()));
        let replay = Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            version: head.version,
            body: keeper,
            progress,
            tunnel: headers::names_a_tunnel(&head.method, &head.headers),
        };
        (replay, Request::from_parts(head, body))
    }

    /// The same of a request that may be repeated and has no body; it is sent itself.
    pub(crate) fn of_repeatable(request: &Request<RequestBody>) -> Option<Self> {
        let repeatable = request.method().is_idempotent()
            && request.body().is_end_stream()
            && !headers::asks_for_a_tunnel(request);
        repeatable.then(|| Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            version: request.version(),
            body: None,
            progress: None,
            tunnel: false,
        })
    }

    /// Whether processing it twice is as good as once.
    pub(crate) fn idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// The request once more; `None` if its body is not at hand. An earlier one gets no more of the body.
    pub(crate) fn again(&self) -> Option<Request<RequestBody>> {
        if self.tunnel {
            // Its client's connection went with the first.
            return None;
        }
        let body = match &self.body {
            Some(keeper) => RequestBody::Kept(keeper.again()?, self.progress.clone()),
            None => RequestBody::Empty,
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        *request.version_mut() = self.version;
        Some(request)
    }

    /// When the client last sent something of the body: what passes before is no time that the target takes.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.body.as_ref().and_then(Keeper::heard)
    }
}
