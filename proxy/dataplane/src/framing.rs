//! Where a body ends, as its head says it: one place for requests and responses (RFC 9112 §6).
//!
//! ```text
//!  head as it came ─► checked: which transfer codings ─► hop-by-hop fields go ─► head says what the body is
//!                      other than one `chunked`: refused
//! ```
//!
//! The codings that a message came with end here, as does its length where there are codings: what goes on is framed
//! anew from the body itself, whatever the method. Left to what is not said, a client library takes a GET of unknown
//! length for one without a body, and a server one length for the other.

use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use http_body::Body;

/// How a head says that its body is coded for the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Not at all: by a length, or up to the connection's end.
    Plain,
    /// `chunked`, and nothing else.
    Chunked,
}

/// A list of codings that is not understood: the body would be passed on coded, and taken for what it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transfer codings other than a single \"chunked\" are not supported")]
pub(crate) struct Unknown;

/// Which codings a head names. An empty list is none.
pub(crate) fn coding(headers: &HeaderMap) -> Result<Coding, Unknown> {
    let mut found = Coding::Plain;
    for value in headers.get_all(TRANSFER_ENCODING) {
        let list = value.to_str().map_err(|_| Unknown)?;
        for token in list.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            if found == Coding::Chunked || !token.eq_ignore_ascii_case("chunked") {
                return Err(Unknown);
            }
            found = Coding::Chunked;
        }
    }
    Ok(found)
}

/// The same of a response, where `identity` alone is what servers of RFC 2616 say of a body that is not coded.
pub(crate) fn response_coding(headers: &HeaderMap) -> Result<Coding, Unknown> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    let only = (values.next(), values.next());
    if let (Some(value), None) = only
        && value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")
    {
        return Ok(Coding::Plain);
    }
    coding(headers)
}

/// Takes the way's framing out: a length that stands beside a coding counts for nothing (RFC 9112 §6.3, rule 3).
pub(crate) fn unframe(headers: &mut HeaderMap) {
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Writes how a request's body is framed from here on. HTTP/2 has frames of its own.
pub(crate) fn frame_request<B: Body>(headers: &mut HeaderMap, version: Version, body: &B) {
    if version < Version::HTTP_2 && !body.is_end_stream() && body.size_hint().exact().is_none() {
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|v| (TRANSFER_ENCODING, HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn codings() {
        let table: [(&[&str], Result<Coding, Unknown>); 14] = [
            (&[], Ok(Coding::Plain)),
            (&[""], Ok(Coding::Plain)),
            (&["chunked"], Ok(Coding::Chunked)),
            (&["Chunked "], Ok(Coding::Chunked)),
            (&[", chunked ,"], Ok(Coding::Chunked)),
            (&["chunked", ""], Ok(Coding::Chunked)),
            (&["chunked, chunked"], Err(Unknown)),
            (&["chunked", "chunked"], Err(Unknown)),
            (&["gzip, chunked"], Err(Unknown)),
            (&["gzip", "chunked"], Err(Unknown)),
            (&["JUNK, chunked"], Err(Unknown)),
            (&["gzip"], Err(Unknown)),
            (&["chunked;q=1"], Err(Unknown)),
            (&["identity"], Err(Unknown)),
        ];
        for (values, expected) in table {
            assert_eq!(coding(&headers(values)), expected, "{values:?}");
        }
        assert_eq!(response_coding(&headers(&["Identity"])), Ok(Coding::Plain));
        assert_eq!(response_coding(&headers(&["identity", "chunked"])), Err(Unknown));
        assert_eq!(response_coding(&headers(&["gzip"])), Err(Unknown));
    }

    #[test]
    fn a_length_beside_a_coding_counts_for_nothing() {
        let mut both = headers(&["chunked"]);
        both.insert(CONTENT_LENGTH, HeaderValue::from_static("2"));
        unframe(&mut both);
        assert!(both.is_empty());
        let mut length = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("2"))]);
        unframe(&mut length);
        assert_eq!(length.len(), 1);
    }
}
