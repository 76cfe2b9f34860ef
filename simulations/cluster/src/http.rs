//! The HTTP edge of the API server: paths to verbs, bodies to objects, objects to the form that was asked for.

mod body;
mod discovery;
mod health;
mod json;
mod list;
mod logs;
mod openapi;
mod path;
mod protobuf;
mod query;
mod reviews;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use simulations_kernel::Clock;
use thanos_telemetry::Shutdown;

use crate::api::{Api, Call, DeleteOptions, FieldValidation, PatchKind, Subresource, in_version};
use crate::error::{ApiError, Cause, Result, about};
use crate::object;
use crate::resources::Resource;
use crate::selector::Selector;
use crate::table;
use body::{Encoding, Sent, Shape};
use path::Target;
use query::Params;

/// What every request may need.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) api: Arc<Api>,
    /// What objects are dated by.
    pub(crate) clock: Clock,
    /// Ends watches and followed logs.
    pub(crate) shutdown: Shutdown,
}

/// The API server as a service: what serves it on a socket is a shell around this, and in one process nothing is
/// between it and a client ([`kube::Client::new`] takes it as it is).
#[derive(Debug, Clone)]
pub struct ApiService {
    pub(crate) server: Server,
}

impl<B> tower::Service<axum::http::Request<B>> for ApiService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, std::result::Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: axum::http::Request<B>) -> Self::Future {
        let server = self.server.clone();
        Box::pin(async move { Ok(handle(&server, request.map(Body::new)).await) })
    }
}

async fn handle(server: &Server, request: Request) -> Response {
    let encoding = body::negotiate(request.headers()).map_or(Encoding::Json, |(_, encoding)| encoding);
    match answer(server, request).await {
        Ok(response) => response,
        Err(error) => reply_as(encoding, error.code, &error.to_status(), &[]),
    }
}

async fn answer(server: &Server, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let params = Params::of(&parts.uri)?;
    let path = parts.uri.path();
    if let Some(fixed) = fixed_path(server, path, &params, &parts.headers)? {
        return if parts.method == Method::GET { Ok(fixed) } else { Err(ApiError::method_not_allowed()) };
    }
    if let Some((group, kind)) = reviews::find(path) {
        if parts.method != Method::POST {
            return Err(ApiError::method_not_allowed());
        }
        let (_, encoding) = body::negotiate(&parts.headers)?;
        let sent = body::read(&parts.headers, body).await?;
        return Ok(reply_as(encoding, 201, &reviews::answer(group, kind, sent.value)?, &[]));
    }
    let target = server.api.with(|state| path::parse(path, &state.registry))?;
    let exchange = Exchange { server, method: parts.method, headers: parts.headers, params, target };
    exchange.run(body).await
}

/// Paths that are not objects.
fn fixed_path(server: &Server, path: &str, params: &Params, headers: &HeaderMap) -> Result<Option<Response>> {
    if let Some(text) = health::answer(path, params.find("verbose").is_some()) {
        return Ok(Some((StatusCode::OK, text).into_response()));
    }
    match path.trim_end_matches('/') {
        "/version" => Ok(Some(reply(200, &discovery::version(), &[]))),
        "/metrics" => Ok(Some(server.api.with(|state| health::metrics(&state.store)).into_response())),
        "/openapi/v2" => openapi::v2::answer(server, headers).map(Some),
        path => Ok(server
            .api
            .with(|state| {
                discovery::answer(path, &state.registry).or_else(|| openapi::answer(path, &state.registry))
            })
            .map(|value| reply(200, &value, &[]))),
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
        self.params.text(name)
    }

    fn is_set(&self, name: &str) -> bool {
        self.params.flag(name)
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
            duplicates: Vec::new(),
        })
    }

    /// As [`Exchange::call`], for a write of what was sent.
    fn call_with(&self, duplicates: Vec<String>) -> Result<Call> {
        Ok(Call { duplicates, ..self.call()? })
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
        ApiError::bad_options(self.options(), &[Cause::unsupported(field, value, allowed)])
    }

    fn selector(&self) -> Result<Selector> {
        let (labels, fields) = (self.param("labelSelector"), self.param("fieldSelector"));
        let selector = Selector::parse(&self.target.resource, labels, fields)?;
        // The old paths of watches name one object.
        Ok(if self.target.watch { selector.named(&self.target.name) } else { selector })
    }

    async fn run(self, body: Body) -> Result<Response> {
        let named = !self.target.name.is_empty();
        match (self.method.as_str(), self.target.subresource.as_str()) {
            ("GET", "log") => logs::answer(self.server, &self.target, &self.params).await,
            ("POST", "binding" | "eviction") => {
                let body = body::read(&self.headers, body).await?;
                self.act_on_pod(&body.value)
            }
            ("GET", "scale") => {
                let call = self.call()?;
                let scale = self.server.api.with(|state| state.get_scale(&call))?;
                self.reply(200, &scale, &[])
            }
            ("GET", "") if self.target.watch => self.watch(),
            (_, "") if self.target.watch => Err(ApiError::method_not_allowed()),
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
                self.delete(&body.value)
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn form(&self) -> Result<(Shape, Encoding)> {
        body::negotiate(&self.headers)
    }

    fn reply(&self, code: u16, value: &Value, warnings: &[String]) -> Result<Response> {
        let (_, encoding) = self.form()?;
        Ok(reply_as(encoding, code, value, warnings))
    }

    fn one(&self, code: u16, object: &Value, warnings: &[String]) -> Result<Response> {
        let resource = &self.target.resource;
        let object = in_version(resource, object);
        let (shape, encoding) = self.form()?;
        let value = match shape {
            Shape::Whole => return Ok(reply_as(encoding, code, &object, warnings)),
            Shape::Table => {
                table::table(resource, &[&object], self.param("includeObject"), self.server.clock.now())
            }
            Shape::Metadata => metadata_only(&object),
        };
        Ok(reply_as(encoding, code, &value, warnings))
    }

    fn get(&self) -> Result<Response> {
        let call = self.call()?;
        let revision = list::revision(self.param("resourceVersion"))?;
        self.server.api.with(|state| list::reached(revision, state.store.revision()))?;
        let object = self.server.api.with(|state| state.get(&call).cloned())?;
        self.one(200, &object, &[])
    }

    fn list(&self) -> Result<Response> {
        let resource = &self.target.resource;
        let selector = self.selector()?;
        let asked = list::Asked::of(&self.params)?;
        let namespace = self.target.namespace.as_deref();
        let page = self.server.api.with(|state| {
            let at = asked.revision(state.store.revision())?;
            state.list(resource, namespace, &selector, asked.limit, self.param("continue"), at)
        })?;
        let objects: Vec<_> = page.items.iter().map(|o| in_version(resource, o)).collect();
        let mut meta = json!({"resourceVersion": page.revision.to_string()});
        if !page.next.is_empty() {
            meta["continue"] = json!(page.next);
            if let Some(remaining) = page.remaining {
                meta["remainingItemCount"] = json!(remaining);
            }
        }
        let (shape, encoding) = self.form()?;
        let value = match shape {
            Shape::Whole => {
                let items: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
                json!({"kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": meta, "items": items})
            }
            Shape::Table => {
                let refs: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
                let mut table =
                    table::table(resource, &refs, self.param("includeObject"), self.server.clock.now());
                table["metadata"] = meta;
                table
            }
            Shape::Metadata => {
                let items: Vec<Value> = objects.iter().map(|o| metadata_only(o)).collect();
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items})
            }
        };
        Ok(reply_as(encoding, 200, &value, &[]))
    }

    fn watch(&self) -> Result<Response> {
        list::check_watch(&self.params)?;
        let (shape, encoding) = self.form()?;
        if encoding != Encoding::Json {
            return Err(ApiError::not_acceptable());
        }
        let request = watch::Watch {
            resource: self.target.resource.clone(),
            namespace: self.target.namespace.clone(),
            selector: self.selector()?,
            shape,
            include_object: self.param("includeObject").to_owned(),
            bookmarks: self.is_set("allowWatchBookmarks"),
            send_initial: self.is_set("sendInitialEvents"),
            timeout_s: self.params.number("timeoutSeconds")?,
        };
        let stream = request.start(self.server, self.param("resourceVersion"))?;
        let json = HeaderValue::from_static("application/json");
        Ok(([(header::CONTENT_TYPE, json)], Body::from_stream(stream)).into_response())
    }

    fn create(&self, sent: Sent) -> Result<Response> {
        let (body, mut call) = (sent.value, self.call_with(sent.duplicates)?);
        if call.resource.namespaced && call.namespace.is_empty() {
            return Err(ApiError::method_not_allowed());
        }
        let object = self.server.api.with(|state| state.create(&mut call, body, self.server.clock.now()))?;
        self.one(201, &object, &call.warnings)
    }

    fn update(&self, sent: Sent) -> Result<Response> {
        let (body, mut call) = (sent.value, self.call_with(sent.duplicates)?);
        let now = self.server.clock.now();
        if call.subresource == Subresource::Scale {
            let scale = self.server.api.with(|state| state.update_scale(&mut call, &body, now))?;
            return self.reply(200, &scale, &call.warnings);
        }
        let (object, created) = self.server.api.with(|state| state.update(&mut call, body, now))?;
        self.one(if created { 201 } else { 200 }, &object, &call.warnings)
    }

    fn patch(&self, kind: PatchKind, sent: Sent) -> Result<Response> {
        let (body, mut call) = (sent.value, self.call_with(sent.duplicates)?);
        if kind == PatchKind::Apply && self.param("fieldManager").is_empty() {
            let why = "Required value: is required for apply patch";
            let cause = Cause::new("FieldValueRequired", "fieldManager", why);
            return Err(ApiError::bad_options(self.options(), &[cause]));
        }
        if kind != PatchKind::Apply && self.params.find("force").is_some() {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(ApiError::bad_options(self.options(), &[cause]));
        }
        let now = self.server.clock.now();
        if call.subresource == Subresource::Scale {
            let scale = self.server.api.with(|state| state.patch_scale(&mut call, kind, body, now))?;
            return self.reply(200, &scale, &call.warnings);
        }
        let (object, created) = self.server.api.with(|state| state.patch(&mut call, kind, body, now))?;
        self.one(if created { 201 } else { 200 }, &object, &call.warnings)
    }

    fn delete(&self, body: &Value) -> Result<Response> {
        let call = self.call()?;
        let mut options = DeleteOptions::from_body(body)?;
        if let Some(seconds) = self.params.number("gracePeriodSeconds")? {
            options.grace_seconds = Some(seconds);
        }
        if let Some(policy) = self.params.find("propagationPolicy") {
            options.propagation =
                DeleteOptions::from_body(&json!({"propagationPolicy": policy}))?.propagation;
        } else if self.params.flag("orphanDependents") {
            options.propagation = "Orphan".into();
        }
        let resource = &call.resource;
        let now = self.server.clock.now();
        if call.name.is_empty() {
            let selector = self.selector()?;
            let namespace = self.target.namespace.as_deref();
            let gone = self
                .server
                .api
                .with(|state| state.delete_collection(&call, namespace, &selector, &options, now));
            let items: Vec<&Value> = gone.iter().map(AsRef::as_ref).collect();
            let list = json!({"kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": {}, "items": items});
            return self.reply(200, &list, &[]);
        }
        let (object, gone) = self.server.api.with(|state| state.delete(&call, &options, now))?;
        // Pods answer with themselves in any case, as in the original.
        if gone && resource.kind != "Pod" {
            return self.reply(200, &success(resource, &object), &[]);
        }
        self.one(200, &object, &[])
    }

    fn act_on_pod(&self, body: &Value) -> Result<Response> {
        let mut call = self.call()?;
        let now = self.server.clock.now();
        if self.target.subresource == "binding" {
            self.server.api.with(|state| state.bind(&mut call, body, now))?;
        } else {
            let options = DeleteOptions::from_body(body.get("deleteOptions").unwrap_or(&Value::Null))?;
            self.server.api.with(|state| state.delete(&call, &options, now))?;
        }
        let status =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
        self.reply(201, &status, &[])
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
    reply_as(Encoding::Json, code, value, warnings)
}

fn reply_as(encoding: Encoding, code: u16, value: &Value, warnings: &[String]) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (media, text) = match encoding {
        Encoding::Json => ("application/json", value.to_string()),
        // JSON is YAML, should this fail.
        Encoding::Yaml => {
            ("application/yaml", serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string()))
        }
    };
    let mut response = (status, [(header::CONTENT_TYPE, media)], text).into_response();
    for warning in warnings.iter().take(20) {
        let text = format!("299 - \"{}\"", warning.replace('\\', "\\\\").replace('"', "\\\""));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}
