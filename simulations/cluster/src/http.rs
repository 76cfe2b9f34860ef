//! The HTTP edge of the API server: paths to verbs, bodies to objects, objects to the form that was asked for.

mod body;
mod discovery;
mod logs;
mod openapi;
mod path;
mod watch;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use thanos_telemetry::Shutdown;

use crate::api::{Api, Call, DeleteOptions, FieldValidation, PatchKind, Subresource, in_version};
use crate::error::{ApiError, Cause, Result, about};
use crate::object;
use crate::resources::Resource;
use crate::selector::Selector;
use crate::table;
use body::Shape;
use path::Target;

/// What every request may need.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) api: Arc<Api>,
    /// Ends watches and followed logs.
    pub(crate) shutdown: Shutdown,
}

/// The whole server.
pub(crate) fn router(server: Server) -> Router {
    Router::new().fallback(handle).with_state(server)
}

type Params = HashMap<String, String>;

async fn handle(Extract(server): Extract<Server>, request: Request) -> Response {
    match answer(&server, request).await {
        Ok(response) => response,
        Err(error) => reply(error.code, &error.to_status(), &[]),
    }
}

async fn answer(server: &Server, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let params = params(&parts.uri)?;
    if let Some(fixed) = fixed_path(server, &parts.uri) {
        return if parts.method == Method::GET { Ok(fixed) } else { Err(ApiError::method_not_allowed()) };
    }
    let target = server.api.with(|state| path::parse(parts.uri.path(), &state.registry))?;
    let exchange = Exchange { server, method: parts.method, headers: parts.headers, params, target };
    exchange.run(body).await
}

fn params(uri: &Uri) -> Result<Params> {
    Query::<Params>::try_from_uri(uri)
        .map(|Query(params)| params)
        .map_err(|e| ApiError::bad_request(format!("the query string cannot be read: {e}")))
}

/// Paths that are not objects.
fn fixed_path(server: &Server, uri: &Uri) -> Option<Response> {
    let text = |body: &'static str| (StatusCode::OK, body).into_response();
    match uri.path().trim_end_matches('/') {
        "/healthz" | "/livez" | "/readyz" => Some(text("ok")),
        "/version" => Some(reply(200, &discovery::version(), &[])),
        path => server
            .api
            .with(|state| {
                discovery::answer(path, &state.registry).or_else(|| openapi::answer(path, &state.registry))
            })
            .map(|value| reply(200, &value, &[])),
    }
}

/// One request on an object or a collection.
struct Exchange<'a> {
    server: &'a Server,
    method: Method,
    headers: HeaderMap,
    params: Params,
    target: Target,
}

impl Exchange<'_> {
    fn param(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }

    fn is_set(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    fn call(&self) -> Result<Call> {
        let target = &self.target;
        let agent = self.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("unknown");
        let manager = match self.param("fieldManager") {
            "" => agent.split('/').next().unwrap_or("unknown"),
            given => given,
        };
        Ok(Call {
            resource: target.resource.clone(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: target.name.clone(),
            subresource: match target.subresource.as_str() {
                "status" => Subresource::Status,
                "scale" => Subresource::Scale,
                _ => Subresource::None,
            },
            manager: manager.chars().take(128).collect(),
            dry_run: match self.param("dryRun") {
                "" => false,
                "All" => true,
                other => return Err(self.bad_option("dryRun", &format!("[{other:?}]"), &["All"])),
            },
            force: self.is_set("force"),
            validation: match self.param("fieldValidation") {
                "Strict" => FieldValidation::Strict,
                "Ignore" => FieldValidation::Ignore,
                "" | "Warn" => FieldValidation::Warn,
                other => {
                    let allowed = ["", "Ignore", "Strict", "Warn"];
                    return Err(self.bad_option("fieldValidation", &format!("{other:?}"), &allowed));
                }
            },
            warnings: Vec::new(),
        })
    }

    /// Which options a write has, in the API's words.
    fn options(&self) -> &'static str {
        match self.method.as_str() {
            "POST" => "CreateOptions",
            "PATCH" => "PatchOptions",
            "DELETE" => "DeleteOptions",
            _ => "UpdateOptions",
        }
    }

    fn bad_option(&self, field: &str, value: &str, allowed: &[&str]) -> ApiError {
        ApiError::bad_options(self.options(), Cause::unsupported(field, value, allowed))
    }

    fn selector(&self) -> Result<Selector> {
        Selector::parse(self.param("labelSelector"), self.param("fieldSelector"))
    }

    async fn run(self, body: Body) -> Result<Response> {
        let named = !self.target.name.is_empty();
        match (self.method.as_str(), self.target.subresource.as_str()) {
            ("GET", "log") => logs::answer(self.server, &self.target, &self.params).await,
            ("POST", "binding" | "eviction") => {
                let body = body::read(&self.headers, body).await?;
                self.act_on_pod(&body)
            }
            ("GET", "scale") => {
                let call = self.call()?;
                let scale = self.server.api.with(|state| state.get_scale(&call))?;
                Ok(reply(200, &scale, &[]))
            }
            ("GET", "" | "status") if named => self.get(),
            ("GET", "") if self.is_set("watch") => self.watch(),
            ("GET", "") => self.list(),
            ("POST", "") if !named => {
                let body = body::read(&self.headers, body).await?;
                self.create(body)
            }
            ("PUT", _) if named => {
                let body = body::read(&self.headers, body).await?;
                self.update(body)
            }
            ("PATCH", _) if named => {
                let kind = body::patch_kind(&self.headers)?;
                let body = body::read(&self.headers, body).await?;
                self.patch(kind, body)
            }
            ("DELETE", "") => {
                let body = body::read_optional(&self.headers, body).await?;
                self.delete(&body)
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn shape(&self) -> Result<Shape> {
        body::negotiate(&self.headers)
    }

    fn one(&self, code: u16, object: &Value, warnings: &[String]) -> Result<Response> {
        let resource = &self.target.resource;
        let object = in_version(resource, object);
        let value = match self.shape()? {
            Shape::Whole => object.into_owned(),
            Shape::Table => table::table(resource, &[&object], self.param("includeObject"), Timestamp::now()),
            Shape::Metadata => metadata_only(&object),
        };
        Ok(reply(code, &value, warnings))
    }

    fn get(&self) -> Result<Response> {
        let call = self.call()?;
        let object = self.server.api.with(|state| state.get(&call).cloned())?;
        self.one(200, &object, &[])
    }

    fn list(&self) -> Result<Response> {
        let resource = &self.target.resource;
        let selector = self.selector()?;
        let limit = match self.param("limit") {
            "" => 0,
            text => {
                text.parse().map_err(|_| ApiError::bad_request(format!("limit {text:?} is not a number")))?
            }
        };
        let namespace = self.target.namespace.as_deref();
        let page = self
            .server
            .api
            .with(|state| state.list(resource, namespace, &selector, limit, self.param("continue")))?;
        let objects: Vec<_> = page.items.iter().map(|o| in_version(resource, o)).collect();
        let mut meta = json!({"resourceVersion": page.revision.to_string()});
        if !page.next.is_empty() {
            meta["continue"] = json!(page.next);
            if let Some(remaining) = page.remaining {
                meta["remainingItemCount"] = json!(remaining);
            }
        }
        let value = match self.shape()? {
            Shape::Whole => {
                let items: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
                json!({"kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": meta, "items": items})
            }
            Shape::Table => {
                let refs: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
                let mut table = table::table(resource, &refs, self.param("includeObject"), Timestamp::now());
                table["metadata"] = meta;
                table
            }
            Shape::Metadata => {
                let items: Vec<Value> = objects.iter().map(|o| metadata_only(o)).collect();
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items})
            }
        };
        Ok(reply(200, &value, &[]))
    }

    fn watch(&self) -> Result<Response> {
        if self.params.contains_key("sendInitialEvents")
            && self.param("resourceVersionMatch") != "NotOlderThan"
        {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let cause = Cause::forbidden("resourceVersionMatch", why);
            return Err(ApiError::bad_options("ListOptions", cause));
        }
        let request = watch::Watch {
            resource: self.target.resource.clone(),
            namespace: self.target.namespace.clone(),
            selector: self.selector()?,
            shape: self.shape()?,
            include_object: self.param("includeObject").to_owned(),
            bookmarks: self.is_set("allowWatchBookmarks"),
            send_initial: self.is_set("sendInitialEvents"),
            timeout_s: match self.param("timeoutSeconds") {
                "" => None,
                text => Some(text.parse().map_err(|_| {
                    ApiError::bad_request(format!("timeoutSeconds {text:?} is not a number"))
                })?),
            },
        };
        let stream = request.start(self.server, self.param("resourceVersion"))?;
        let json = HeaderValue::from_static("application/json");
        Ok(([(header::CONTENT_TYPE, json)], Body::from_stream(stream)).into_response())
    }

    fn create(&self, body: Value) -> Result<Response> {
        let mut call = self.call()?;
        if call.resource.namespaced && call.namespace.is_empty() {
            return Err(ApiError::method_not_allowed());
        }
        let object = self.server.api.with(|state| state.create(&mut call, body, Timestamp::now()))?;
        self.one(201, &object, &call.warnings)
    }

    fn update(&self, body: Value) -> Result<Response> {
        let mut call = self.call()?;
        let now = Timestamp::now();
        if call.subresource == Subresource::Scale {
            let scale = self.server.api.with(|state| state.update_scale(&mut call, &body, now))?;
            return Ok(reply(200, &scale, &call.warnings));
        }
        let object = self.server.api.with(|state| state.update(&mut call, body, now))?;
        self.one(200, &object, &call.warnings)
    }

    fn patch(&self, kind: PatchKind, body: Value) -> Result<Response> {
        let mut call = self.call()?;
        if kind == PatchKind::Apply && self.param("fieldManager").is_empty() {
            let why = "Required value: is required for apply patch";
            let cause = Cause::new("FieldValueRequired", "fieldManager", why);
            return Err(ApiError::bad_options(self.options(), cause));
        }
        if kind != PatchKind::Apply && self.params.contains_key("force") {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(ApiError::bad_options(self.options(), cause));
        }
        let now = Timestamp::now();
        if call.subresource == Subresource::Scale {
            let scale = self.server.api.with(|state| state.patch_scale(&mut call, kind, body, now))?;
            return Ok(reply(200, &scale, &call.warnings));
        }
        let (object, created) = self.server.api.with(|state| state.patch(&mut call, kind, body, now))?;
        self.one(if created { 201 } else { 200 }, &object, &call.warnings)
    }

    fn delete(&self, body: &Value) -> Result<Response> {
        let call = self.call()?;
        let mut options = DeleteOptions::from_body(body)?;
        if let Ok(seconds) = self.param("gracePeriodSeconds").parse() {
            options.grace_seconds = Some(seconds);
        }
        if let Some(policy) = self.params.get("propagationPolicy") {
            options.propagation.clone_from(policy);
        }
        let resource = &call.resource;
        let now = Timestamp::now();
        if call.name.is_empty() {
            let selector = self.selector()?;
            let namespace = self.target.namespace.as_deref();
            let gone = self
                .server
                .api
                .with(|state| state.delete_collection(&call, namespace, &selector, &options, now));
            let items: Vec<&Value> = gone.iter().map(AsRef::as_ref).collect();
            let list = json!({"kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": {}, "items": items});
            return Ok(reply(200, &list, &[]));
        }
        let (object, gone) = self.server.api.with(|state| state.delete(&call, &options, now))?;
        // Pods answer with themselves in any case, as in the original.
        if gone && resource.kind != "Pod" {
            return Ok(reply(200, &success(resource, &object), &[]));
        }
        self.one(200, &object, &[])
    }

    fn act_on_pod(&self, body: &Value) -> Result<Response> {
        let mut call = self.call()?;
        let now = Timestamp::now();
        if self.target.subresource == "binding" {
            self.server.api.with(|state| state.bind(&mut call, body, now))?;
        } else {
            let options = DeleteOptions::from_body(body.get("deleteOptions").unwrap_or(&Value::Null))?;
            self.server.api.with(|state| state.delete(&call, &options, now))?;
        }
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        Ok(reply(201, &status, &[]))
    }
}

fn success(resource: &Resource, object: &Value) -> Value {
    let mut details = about(&resource.group, &resource.plural, object::name(object));
    details["uid"] = json!(object::uid(object));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// `PartialObjectMetadata`.
fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")})
}

fn reply(code: u16, value: &Value, warnings: &[String]) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response =
        (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response();
    for warning in warnings.iter().take(20) {
        let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
