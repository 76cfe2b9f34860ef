//! Bodies in, and the form that the client wants out.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::api::PatchKind;
use crate::error::{ApiError, Result};

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

/// Picks the first form in `Accept` that can be served.
pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Shape> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "application/*" | "*/*") {
            continue;
        }
        match parts.filter_map(|p| p.strip_prefix("as=")).next() {
            None => return Ok(Shape::Whole),
            Some("Table") => return Ok(Shape::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => return Ok(Shape::Metadata),
            Some(_) => {}
        }
    }
    Err(ApiError::not_acceptable())
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// How a PATCH is to be read, from its content type.
pub(crate) fn patch_kind(headers: &HeaderMap) -> Result<PatchKind> {
    match content_type(headers) {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(PatchKind::Apply),
        other => Err(ApiError::unsupported_media_type(other)),
    }
}

/// Reads a JSON or YAML body.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Value> {
    let value = read_optional(headers, body).await?;
    if value.is_null() { Err(ApiError::bad_request("the body is empty")) } else { Ok(value) }
}

/// As [`read`]; an empty body is null.
pub(crate) async fn read_optional(headers: &HeaderMap, body: Body) -> Result<Value> {
    let media = content_type(headers);
    let yaml = media.ends_with("yaml");
    if !(yaml || media.is_empty() || media.ends_with("json")) {
        return Err(ApiError::unsupported_media_type(media));
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
        return Ok(Value::Null);
    }
    // JSON is YAML; its own parser is the faster.
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(value),
        Err(_) if yaml => {
            let text =
                std::str::from_utf8(&bytes).map_err(|e| ApiError::bad_request(format!("body: {e}")))?;
            thanos_telemetry::cli::parse_yaml(text)
                .map_err(|e| ApiError::bad_request(format!("the body is not valid YAML: {e}")))
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
            ("application/vnd.kubernetes.protobuf", None),
            ("text/html", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(negotiate(&headers).ok(), expected, "{accept}");
        }
        assert_eq!(negotiate(&HeaderMap::new()).ok(), Some(Shape::Whole));
    }
}
