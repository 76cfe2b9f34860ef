//! Bodies in, and the form that the client wants out.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use super::{json, protobuf};
use crate::api::PatchKind;
use crate::error::{ApiError, Result};

/// What client-go's typed clients send, if they are told to.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The API server's own limit on a request.
const BODY_MAX_BYTES: usize = 3 << 20;
/// A body that trickles longer than this is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Whole,
    Table,
    Metadata,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Yaml,
}

/// Picks the form in `Accept` that the client likes best of those that can be served; media types have no case.
pub(crate) fn negotiate(headers: &HeaderMap) -> Result<(Shape, Encoding)> {
    let lines: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let accept = if lines.is_empty() { "*/*".to_owned() } else { lines.join(",") };
    let mut ranges: Vec<(f32, &str)> = accept.split(',').map(|range| (quality(range), range)).collect();
    // Stable: of equals the first is meant.
    ranges.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let liked = ranges.into_iter().filter(|(quality, _)| *quality > 0.0);
    liked.filter_map(|(_, range)| form(range)).next().ok_or_else(ApiError::not_acceptable)
}

fn parameters(range: &str) -> impl Iterator<Item = (String, &str)> {
    range.split(';').skip(1).filter_map(|p| {
        let (name, value) = p.split_once('=')?;
        Some((name.trim().to_ascii_lowercase(), value.trim()))
    })
}

fn quality(range: &str) -> f32 {
    let given = parameters(range).find(|(name, _)| name == "q");
    given.map_or(1.0, |(_, value)| value.parse().unwrap_or(0.0))
}

fn form(range: &str) -> Option<(Shape, Encoding)> {
    let media = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let encoding = match media.as_str() {
        "application/json" | "application/*" | "*/*" => Encoding::Json,
        "application/yaml" => Encoding::Yaml,
        _ => return None,
    };
    let shape = match parameters(range).find(|(name, _)| name == "as").map(|(_, value)| value) {
        None => Shape::Whole,
        Some("Table") => Shape::Table,
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Shape::Metadata,
        Some(_) => return None,
    };
    Some((shape, encoding))
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How a PATCH is to be read, from its content type.
pub(crate) fn patch_kind(headers: &HeaderMap) -> Result<PatchKind> {
    match content_type(headers).as_str() {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(PatchKind::Apply),
        other => Err(ApiError::unsupported_media_type(other)),
    }
}

/// What a client sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Null if there was nothing.
    pub(crate) value: Value,
    /// Paths of keys that an object had twice.
    pub(crate) duplicates: Vec<String>,
}

/// Reads a JSON, YAML or protobuf body.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Sent> {
    let sent = read_optional(headers, body).await?;
    if sent.value.is_null() { Err(ApiError::bad_request("the body is empty")) } else { Ok(sent) }
}

/// As [`read`]; an empty body is null.
pub(crate) async fn read_optional(headers: &HeaderMap, body: Body) -> Result<Sent> {
    let media = content_type(headers);
    let yaml = media.ends_with("yaml");
    let protobuf = media == PROTOBUF;
    if !(yaml || protobuf || media.is_empty() || media.ends_with("json")) {
        return Err(ApiError::unsupported_media_type(&media));
    }
    if let Some(length) = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok())
        && length.parse::<usize>().is_ok_and(|n| n > BODY_MAX_BYTES)
    {
        return Err(ApiError::too_large(BODY_MAX_BYTES));
    }
    let bytes = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_MAX_BYTES))
        .await
        .map_err(|_| ApiError::bad_request("the body did not arrive within 30 s"))?
        .map_err(|_| ApiError::too_large(BODY_MAX_BYTES))?;
    if bytes.is_empty() {
        return Ok(Sent { value: Value::Null, duplicates: Vec::new() });
    }
    if protobuf {
        let value = protobuf::decode(&bytes)
            .map_err(|e| ApiError::bad_request(format!("the body is not valid protobuf: {e}")))?;
        return Ok(Sent { value, duplicates: Vec::new() });
    }
    // JSON is YAML; its own parser is the faster.
    match json::parse(&bytes) {
        Ok((value, duplicates)) => Ok(Sent { value, duplicates }),
        Err(_) if yaml => {
            let text =
                std::str::from_utf8(&bytes).map_err(|e| ApiError::bad_request(format!("body: {e}")))?;
            let value = thanos_telemetry::cli::parse_yaml(text)
                .map_err(|e| ApiError::bad_request(format!("the body is not valid YAML: {e}")))?;
            Ok(Sent { value, duplicates: Vec::new() })
        }
        Err(e) => Err(ApiError::bad_request(format!("the body is not valid JSON: {e}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn accept_is_negotiated() {
        for (accept, expected) in [
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Shape::Table)),
            ("application/vnd.kubernetes.protobuf, application/json", Some(Shape::Whole)),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some(Shape::Metadata)),
            ("application/json;as=Unknown;v=v9, */*", Some(Shape::Whole)),
            ("Application/JSON; AS=Table", Some(Shape::Table)),
            ("application/json;as=Table;q=0.1, application/json", Some(Shape::Whole)),
            ("application/json;q=0", None),
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            let whole = expected.map(|shape| (shape, Encoding::Json));
            assert_eq!(negotiate(&headers).ok(), whole, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new()).ok(), Some((Shape::Whole, Encoding::Json)));
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/YAML"));
        assert_eq!(negotiate(&headers).ok(), Some((Shape::Whole, Encoding::Yaml)));
    }
}
