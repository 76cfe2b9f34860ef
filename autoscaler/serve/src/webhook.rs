//! `gauntlet autoscaler webhook`: the validating webhook's server.

use std::sync::Arc;
use std::time::Duration;

use autoscaler_api::ScalingPolicy;
use autoscaler_certs::Reader;
use autoscaler_webhook::{Judged, Known, parse, render, review};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures::TryStreamExt as _;
use kube::api::{ApiResource, GroupVersionKind};
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use thanos_telemetry::{Context, RunError};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tower_http::catch_panic::CatchPanicLayer;

use crate::args::ServingArgs;
use crate::cache::{self, Change};
use crate::metrics::Requests;
use crate::process::Process;
use crate::tls;

/// Where reviews are posted.
const PATH: &str = "/validate";
/// What an API server takes of one object; a review has two, and policies that near it are none that people write.
const BODY_BYTES_MAX: usize = 3 << 20;
/// Reviews that are judged at once.
const AT_ONCE: usize = 8;
/// What bodies together may take of memory. Each takes as much as has come in of it, so that who sends slowly keeps
/// nobody else waiting.
const BODIES_BYTES_MAX: usize = 64 << 20;
/// Below `timeoutSeconds` of the configuration, so that an answer comes that says why there is none.
const DEADLINE: Duration = Duration::from_secs(4);

/// Flags of `gauntlet autoscaler webhook`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Server.
    #[command(flatten)]
    pub serving: ServingArgs,
    /// Name of the ValidatingWebhookConfiguration that is told whom to trust
    #[arg(long, default_value = "gauntlet-autoscaler")]
    pub webhook_configuration: String,
    /// Label that tells clusters apart in the metrics; the controller's
    #[arg(long, default_value = "cluster")]
    pub cluster_label: String,
}

pub(crate) async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    let reader = Reader::Webhook(args.webhook_configuration.clone());
    let mut process = Process::open(&args.serving, "autoscaler-webhook-cert", reader).await?;
    let mut registry = Registry::default();
    let requests = Requests::register(
        &mut registry,
        "webhook",
        &["allowed", "refused", "unreadable", "timeout", "busy"],
    );
    let (complete, seen) = watch::channel(false);
    let known = Arc::new(RwLock::new(Known::default()));

    let policies = ApiResource::erase::<ScalingPolicy>(&());
    let (into, told) = (known.clone(), complete.clone());
    let keep = |object: &Value| {
        let spec = &object["spec"];
        json!({"spec": {"mode": spec["mode"], "scaleTargetRef": spec["scaleTargetRef"], "ring": spec["ring"]}})
    };
    process.tasks.spawn(cache::follow(process.client.clone(), policies, keep, move |change| {
        let mut known = into.write();
        match &change {
            Change::All(all) => known.all_policies(all),
            Change::Put(policy) => known.put_policy(policy),
            Change::Gone { namespace, name } => known.remove_policy(namespace, name),
        }
        told.send_replace(known.is_complete());
    }));
    let gvk = GroupVersionKind::gvk("autoscaling", "v2", "HorizontalPodAutoscaler");
    let hpas = ApiResource::from_gvk_with_plural(&gvk, "horizontalpodautoscalers");
    let into = known.clone();
    let keep = |object: &Value| json!({"spec": {"scaleTargetRef": object["spec"]["scaleTargetRef"]}});
    process.tasks.spawn(cache::follow(process.client.clone(), hpas, keep, move |change| {
        let mut known = into.write();
        match &change {
            Change::All(all) => known.all_hpas(all),
            Change::Put(hpa) => known.put_hpa(hpa),
            Change::Gone { namespace, name } => known.remove_hpa(namespace, name),
        }
        complete.send_replace(known.is_complete());
    }));

    let router = router(known, requests, args.cluster_label);
    let config = tls::config(&process.served, None)?;
    tracing::info!(address = %args.serving.secure_listen_address, "webhook started");
    process.run(registry, router, move || Some(config.clone()), seen, ctx.shutdown).await
}

struct Shared {
    known: Arc<RwLock<Known>>,
    requests: Requests,
    cluster_label: String,
    turns: Semaphore,
    /// Bytes that bodies may still take.
    room: Semaphore,
}

/// The one path, for any listener.
fn router(known: Arc<RwLock<Known>>, requests: Requests, cluster_label: String) -> Router {
    let shared = Shared {
        known,
        requests,
        cluster_label,
        turns: Semaphore::new(AT_ONCE),
        room: Semaphore::new(BODIES_BYTES_MAX),
    };
    Router::new().route(PATH, post(validate)).layer(CatchPanicLayer::new()).with_state(Arc::new(shared))
}

async fn validate(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    match tokio::time::timeout(DEADLINE, judged(&shared, request.into_body())).await {
        Ok(answer) => answer,
        Err(_) => {
            shared.requests.count("timeout");
            (StatusCode::GATEWAY_TIMEOUT, "the review did not come in, or had no turn, in time")
                .into_response()
        }
    }
}

async fn judged(shared: &Shared, body: Body) -> Response {
    let refused = |code: StatusCode, why: String| {
        shared.requests.count("unreadable");
        (code, why).into_response()
    };
    let (body, _room) = match read(body, &shared.room).await {
        Ok(read) => read,
        Err(e) => {
            let why = format!("the body cannot be read, or is over the limit of {BODY_BYTES_MAX} bytes: {e}");
            return refused(StatusCode::PAYLOAD_TOO_LARGE, why);
        }
    };
    let Ok(_turn) = shared.turns.acquire().await else {
        shared.requests.count("busy");
        return (StatusCode::SERVICE_UNAVAILABLE, "the server ends").into_response();
    };
    let request = match parse(&body) {
        Ok(request) => request,
        Err(why) => return refused(StatusCode::BAD_REQUEST, why),
    };
    let verdict = review(&request, &shared.known.read(), |document| judge(document, &shared.cluster_label));
    let allowed = verdict.problems.is_empty();
    shared.requests.count(if allowed { "allowed" } else { "refused" });
    if !allowed {
        let (namespace, policy) = (&request.namespace, &verdict.name);
        tracing::info!(namespace, policy, problems = verdict.problems.len(), "refused");
    }
    Json(render(&request.uid, &verdict)).into_response()
}

/// A whole body, and the room that it takes until it was judged.
async fn read(body: Body, room: &Semaphore) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), axum::Error> {
    let mut chunks = body.into_data_stream();
    let mut taken: Option<SemaphorePermit<'_>> = None;
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        if whole.len().saturating_add(chunk.len()) > BODY_BYTES_MAX {
            return Err(axum::Error::new("it is longer"));
        }
        let more = room.acquire_many(length).await.map_err(axum::Error::new)?;
        match &mut taken {
            Some(taken) => taken.merge(more),
            None => taken = Some(more),
        }
        whole.extend_from_slice(&chunk);
    }
    Ok((whole, taken))
}

/// What `gauntlet autoscaler check` says of a document.
fn judge(document: &Value, cluster_label: &str) -> Judged {
    let said = autoscaler_controller::judge_document(document, cluster_label);
    Judged { problems: said.problems, notes: said.notes }
}

#[cfg(test)]
mod tests;
