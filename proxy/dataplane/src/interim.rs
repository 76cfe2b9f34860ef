//! Interim responses: what the app says before its answer reaches the client (RFC 9110 §15.2), which the library's
//! server side cannot say. HTTP/1.1 only.

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode, Version};

use crate::caller::Caller;
use crate::upload::{Progress, RequestBody};

/// Passes them on to the caller, but for `100 Continue`, which it is told by being asked for its body.
pub(crate) fn pass_on(
    request: &mut Request<RequestBody>,
    caller: &Arc<Caller>,
    upload: Option<Arc<Progress>>,
) {
    if !caller.hears_interim() {
        return;
    }
    let caller = caller.clone();
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            if let Some(upload) = &upload {
                upload.go_on();
            }
            return;
        }
        if response.version() == Version::HTTP_11 {
            caller.wire.interim(&head(response.status(), response.headers()));
        }
    });
}

fn head(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    // Neither has a meaning in an interim response, and either could frame one wrongly.
    let not = ["connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "trailer"];
    for (name, value) in headers.iter().filter(|(n, _)| !not.contains(&n.as_str())) {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_head_without_what_frames() {
        let mut headers = HeaderMap::new();
        headers.insert("link", HeaderValue::from_static("</a>; rel=preload"));
        headers.insert("content-length", HeaderValue::from_static("5"));
        let text = String::from_utf8(head(StatusCode::from_u16(103).unwrap(), &headers)).unwrap();
        assert_eq!(text, "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n");
    }
}
