//! OpenAPI v2: what is served and that the server validates fields, for clients that look no further.
//!
//! kubectl asks for it as protobuf, before it applies a list or a kind that is not served. There are no definitions:
//! what a client does not find there it leaves to the server.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::{Server, parameters, path_of};
use crate::error::Result;
use crate::resources::Registry;

/// The protobuf form. kubectl asks for it with `@`, which is no media type that it could read in the answer.
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// The document in the form that was asked for.
pub(in super::super) fn answer(server: &Server, headers: &HeaderMap) -> Result<Response> {
    let document = server.api.with(|state| document(&state.registry));
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let accept = accept.to_ascii_lowercase();
    let wants = accept.split([',', ';']).map(str::trim).any(|a| a == PROTOBUF || a == PROTOBUF_ASKED);
    let (media, body) = if wants {
        (PROTOBUF, protobuf(&document))
    } else {
        ("application/json", document.to_string().into_bytes())
    };
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, media)], body).into_response())
}

fn document(registry: &Registry) -> Value {
    let paths: Map<String, Value> = registry
        .iter()
        .map(|resource| {
            let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
            let parameters: Vec<Value> = parameters()
                .map(|(name, kind)| json!({"name": name, "in": "query", "type": kind, "uniqueItems": true}))
                .collect();
            let operation = |action: &str| {
                json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
                    "parameters": parameters, "responses": {"200": {"description": "OK"}}})
            };
            (path_of(resource), json!({"get": operation("get"), "patch": operation("patch")}))
        })
        .collect();
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.35.4"}, "paths": paths,
        "definitions": {}})
}

/// The document as `openapi.v2.Document` of gnostic (field numbers), as far as a client of ours reads it: the
/// operations of patches.
fn protobuf(document: &Value) -> Vec<u8> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let info =
        [field(1, text(document.pointer("/info/title"))), field(2, text(document.pointer("/info/version")))];
    let mut paths = Vec::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let mut operation = Vec::new();
        for parameter in item.pointer("/patch/parameters").and_then(Value::as_array).into_iter().flatten() {
            let query = [
                field(2, "query"),
                field(4, text(parameter.get("name"))),
                field(6, text(parameter.get("type"))),
            ];
            // ParametersItem of Parameter of NonBodyParameter of QueryParameterSubSchema.
            operation.extend(field(8, field(1, field(2, field(3, query.concat())))));
        }
        for name in ["x-kubernetes-action", "x-kubernetes-group-version-kind"] {
            let value = item.get("patch").and_then(|p| p.get(name)).unwrap_or(&Value::Null);
            // The value is YAML, which JSON is.
            let value = field(2, value.to_string());
            operation.extend(field(13, [field(1, name), field(2, value)].concat()));
        }
        paths.extend(field(2, [field(1, path), field(2, field(8, operation))].concat()));
    }
    [field(1, "2.0"), field(2, info.concat()), field(8, paths)].concat()
}

/// A field that is text or a message.
fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = vec![number << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        out.push(len.to_le_bytes().first().copied().unwrap_or(0) | 0x80);
        len >>= 7;
    }
    out.extend(len.to_le_bytes().first());
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_found_by_its_patch() {
        let registry = Registry::new();
        let document = document(&registry);
        let item = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert_eq!(item["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        let bytes = protobuf(&document);
        let has = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
        for resource in registry.iter() {
            assert!(has(&path_of(resource)), "{}", resource.kind);
        }
        assert!(has("fieldValidation") && has(r#""kind":"Deployment""#));
        // Each length spans the rest: what was written can be read to its end.
        let mut rest = bytes.as_slice();
        let mut numbers = Vec::new();
        while let Some((key, after)) = rest.split_first() {
            numbers.push(key >> 3);
            let (mut len, mut at) = (0usize, 0);
            for byte in after {
                len |= usize::from(byte & 0x7f) << (7 * at);
                at += 1;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            rest = &after[at..][len..];
        }
        assert_eq!(numbers, [1, 2, 8]);
    }
}
