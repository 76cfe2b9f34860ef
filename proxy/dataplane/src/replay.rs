//! What suffices to send a request again: its head, and its body as long as that is short.

use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body;
use tokio::time::Instant;

use crate::body::RequestBody;
use crate::kept::Keeper;

/// A request that can perhaps be sent again. While it exists, the body that is being sent is remembered.
#[derive(Debug)]
pub(crate) struct Replay {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    version: Version,
    /// `None`: the request has no body.
    body: Option<Keeper>,
}

impl Replay {
    /// Takes a request; what is returned is to be sent in its place.
    pub(crate) fn keep(request: Request<RequestBody>) -> (Self, Request<RequestBody>) {
        let (head, body) = request.into_parts();
        let keeper = (!body.is_end_stream()).then(|| Keeper::new(body));
        let body = keeper.as_ref().map_or(RequestBody::Empty, |k| RequestBody::Kept(k.body()));
        let replay = Self {
            method: head.method.clone(),
            uri: head.uri.clone(),
            headers: head.headers.clone(),
            version: head.version,
            body: keeper,
        };
        (replay, Request::from_parts(head, body))
    }

    /// Whether processing it twice is as good as once.
    pub(crate) fn idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    /// The request once more; `None` if its body is not at hand. An earlier one gets no more of the body.
    pub(crate) fn again(&self) -> Option<Request<RequestBody>> {
        let body = match &self.body {
            Some(keeper) => RequestBody::Kept(keeper.again()?),
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

    /// Whether the client broke the body.
    pub(crate) fn broken(&self) -> bool {
        self.body.as_ref().is_some_and(Keeper::broken)
    }
}
