//! What kinds of messages there are: their protocol, whose errors they speak, and who we are to their sender.

use http::{HeaderMap, HeaderValue, Version};

/// How a message is framed on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
}

/// Which proxy of a request we are to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It does not know of us: the sidecar of whom it speaks to, who may be a proxy itself.
    Inbound,
    /// It may have been told to use us.
    Outbound,
}

/// What a request's content is, by its type: in whose words its errors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Http,
    Grpc,
    /// Its status is in the body, where we do not read; `text` is the form in base64.
    GrpcWeb {
        text: bool,
    },
}

impl Protocol {
    pub(crate) fn of(version: Version) -> Self {
        if version == Version::HTTP_2 { Self::H2 } else { Self::H1 }
    }
}

impl Call {
    /// By the media type, which is a name and perhaps a suffix: `application/grpc+proto`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Self::Http };
        let Some(rest) = after(value.as_bytes(), b"application/grpc") else { return Self::Http };
        let ends = |rest: &[u8]| matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'));
        if ends(rest) {
            Self::Grpc
        } else if after(rest, b"-web").is_some_and(ends) {
            Self::GrpcWeb { text: false }
        } else if after(rest, b"-web-text").is_some_and(ends) {
            Self::GrpcWeb { text: true }
        } else {
            Self::Http
        }
    }

    /// The type of an error of this kind that has no body; `None` for one in plain words.
    pub(crate) fn error_type(self) -> Option<HeaderValue> {
        match self {
            Self::Http => None,
            Self::Grpc => Some(HeaderValue::from_static("application/grpc")),
            Self::GrpcWeb { text: false } => Some(HeaderValue::from_static("application/grpc-web")),
            Self::GrpcWeb { text: true } => Some(HeaderValue::from_static("application/grpc-web-text")),
        }
    }
}

fn after<'a>(value: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_from_its_relatives() {
        let table = [
            ("application/grpc", Call::Grpc),
            ("Application/gRPC+proto", Call::Grpc),
            ("application/grpc;charset=utf-8", Call::Grpc),
            ("application/grpc-web", Call::GrpcWeb { text: false }),
            ("application/grpc-web+proto", Call::GrpcWeb { text: false }),
            ("application/grpc-web-text+proto", Call::GrpcWeb { text: true }),
            ("application/grpcfoo", Call::Http),
            ("application/grpc-webby", Call::Http),
            ("application/json", Call::Http),
            ("", Call::Http),
        ];
        for (value, expected) in table {
            let headers = [(http::header::CONTENT_TYPE, HeaderValue::from_static(value))];
            assert_eq!(Call::of(&HeaderMap::from_iter(headers)), expected, "{value}");
        }
    }
}
