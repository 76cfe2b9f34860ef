//! `gauntlet autoscaler external-metrics`: the aggregated API server's server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use autoscaler_api::ScalingPolicy;
use autoscaler_certs::{Reader, Served};
use autoscaler_external_metrics::answer::refusal;
use autoscaler_external_metrics::front_proxy::{CONFIG_MAP, NAMESPACE};
use autoscaler_external_metrics::{Answer, FrontProxy, GROUP, Statuses, VERSION, answer, discovery};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ApiResource;
use kube::{Api, Client};
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use serde_json::{Value, json};
use thanos_telemetry::{Context, RunError};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::args::ServingArgs;
use crate::cache::{self, Change};
use crate::clock;
use crate::metrics::Requests;
use crate::process::Process;
use crate::tls::{self, Caller};

/// Deadline of one request; everything that it asks is in memory.
const DEADLINE: Duration = Duration::from_secs(4);
/// How often the API server's front proxy is looked up.
const LOOK: Duration = Duration::from_secs(30);
/// Pause after that failed.
const AGAIN: Duration = Duration::from_secs(2);

/// Flags of `gauntlet autoscaler external-metrics`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Server.
    #[command(flatten)]
    pub serving: ServingArgs,
    /// How old an evaluation may be beyond its policy's interval before its value is in doubt; above the controller's
    /// --status-refresh, and what another leader needs to take over
    #[arg(long, default_value = "20s", value_parser = thanos_model::parse_duration)]
    pub max_status_age: Duration,
    /// Name of the APIService that is told whom to trust
    #[arg(long, default_value = "v1beta1.external.metrics.k8s.io")]
    pub api_service: String,
}

/// The front proxy as it is now, and what takes its certificates.
struct Door {
    proxy: FrontProxy,
    config: Arc<ServerConfig>,
}

struct Shared {
    statuses: Arc<RwLock<Statuses>>,
    door: Arc<ArcSwapOption<Door>>,
    requests: Requests,
}

pub(crate) async fn run(args: Args, ctx: Context) -> Result<(), RunError> {
    let reader = Reader::ApiService(args.api_service.clone());
    let mut process = Process::open(&args.serving, "autoscaler-external-metrics-cert", reader).await?;
    let mut registry = Registry::default();
    let requests = Requests::register(
        &mut registry,
        "external_metrics",
        &["value", "in_doubt", "not_found", "unauthorized", "wrong", "discovery"],
    );
    let late_ms = i64::try_from(args.max_status_age.as_millis()).unwrap_or(i64::MAX);
    let statuses = Arc::new(RwLock::new(Statuses::new(late_ms)));
    let door = Arc::new(ArcSwapOption::<Door>::empty());
    let (complete, seen) = watch::channel(false);

    let (into, opened, told) = (statuses.clone(), door.clone(), complete.clone());
    let keep = |object: &Value| {
        let status = &object["status"];
        let names =
            object["spec"]["metrics"].as_array().into_iter().flatten().map(|m| json!({"name": m["name"]}));
        json!({
            "spec": {"interval": object["spec"]["interval"], "metrics": names.collect::<Vec<_>>()},
            "status": {
                "observedGeneration": status["observedGeneration"],
                "lastEvaluationTime": status["lastEvaluationTime"], "metrics": status["metrics"],
            },
        })
    };
    let policies = ApiResource::erase::<ScalingPolicy>(&());
    process.tasks.spawn(cache::follow(process.client.clone(), policies, keep, move |change| {
        let mut statuses = into.write();
        match &change {
            Change::All(all) => statuses.all(all),
            Change::Put(policy) => statuses.put(policy),
            Change::Gone { namespace, name } => statuses.remove(namespace, name),
        }
        told.send_replace(opened.load().is_some());
    }));
    let (client, served) = (process.client.clone(), process.served.clone());
    let (opened, into, timeout) = (door.clone(), statuses.clone(), args.serving.timeout());
    process.tasks.spawn(async move {
        keep_door(client, served, timeout, &opened, || {
            complete.send_replace(into.read().is_listed());
        })
        .await;
    });

    let router = router(Shared { statuses, door: door.clone(), requests });
    let config = move || door.load().as_ref().map(|d| d.config.clone());
    tracing::info!(address = %args.serving.secure_listen_address, "external metrics started");
    process.run(registry, router, config, seen, ctx.shutdown).await
}

/// Follows what the API server says of its front proxy: its authority is renewed too.
async fn keep_door(
    client: Client,
    served: Served,
    timeout: Duration,
    door: &ArcSwapOption<Door>,
    opened: impl Fn(),
) {
    let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let mut failing = false;
    loop {
        let found = match tokio::time::timeout(timeout, maps.get(CONFIG_MAP)).await {
            Ok(Ok(map)) => FrontProxy::of(&map.data.unwrap_or_default()),
            Ok(Err(e)) => Err(format!("ConfigMap {NAMESPACE}/{CONFIG_MAP}: {e}")),
            Err(_) => Err(format!("ConfigMap {NAMESPACE}/{CONFIG_MAP}: no answer within {timeout:?}")),
        };
        let known = door.load_full();
        let found = found.and_then(|proxy| match &known {
            Some(door) if door.proxy == proxy => Ok(None),
            _ => {
                let config = tls::config(&served, Some(&proxy.ca_pem)).map_err(|e| e.to_string())?;
                Ok(Some(Door { proxy, config }))
            }
        });
        let pause = match found {
            Ok(changed) => {
                failing = false;
                if let Some(new) = changed {
                    tracing::info!(
                        names = new.proxy.allowed_names.join(","),
                        "the API server's front proxy is known"
                    );
                    door.store(Some(Arc::new(new)));
                    opened();
                }
                LOOK
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        error,
                        "the API server's front proxy is not known; as before, or nobody is answered"
                    );
                }
                failing = true;
                AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

fn router(shared: Shared) -> Router {
    let shared = Arc::new(shared);
    let base = format!("/apis/{GROUP}/{VERSION}");
    Router::new()
        .route("/apis", get(groups))
        .route(&format!("/apis/{GROUP}"), get(async || Json(discovery::group())))
        .route(&base, get(async || Json(discovery::resources())))
        .route(&format!("{base}/namespaces/{{namespace}}/{{metric}}"), get(value))
        .route("/openapi/v2", get(async || Json(discovery::openapi_v2())))
        .route("/openapi/v3", get(async || Json(discovery::openapi_v3())))
        .route(&format!("/openapi/v3{base}"), get(async || Json(discovery::openapi_v3_group())))
        .fallback(async || {
            shown(refusal(404, "NotFound", "the server could not find the requested resource"))
        })
        .layer(from_fn_with_state(shared.clone(), admit))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, DEADLINE))
        .layer(CatchPanicLayer::new())
        .with_state(shared)
}

/// Nobody but API servers.
async fn admit(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = match shared.door.load().as_ref() {
        Some(door) => door.proxy.admit(caller.0.as_deref()),
        None => Err((503, "ServiceUnavailable", "the API server's front proxy is not known yet".to_owned())),
    };
    match admitted {
        Ok(()) => next.run(request).await,
        Err((code, reason, message)) => {
            shared.requests.count("unauthorized");
            shown(refusal(code, reason, &message))
        }
    }
}

async fn groups(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.requests.count("discovery");
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok());
    if discovery::is_acceptable(accept) {
        return Json(discovery::groups()).into_response();
    }
    shown(refusal(406, "NotAcceptable", "only application/json without parameters is served"))
}

async fn value(
    State(shared): State<Arc<Shared>>,
    Path((namespace, metric)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let selector = query.get("labelSelector").map_or("", String::as_str);
    let answer = answer(&*shared.statuses.read(), &namespace, &metric, selector, clock::now_ms());
    shared.requests.count(match answer.code {
        200 => "value",
        404 => "not_found",
        503 => "in_doubt",
        _ => "wrong",
    });
    shown(answer)
}

fn shown(answer: Answer) -> Response {
    let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, Json(answer.body)).into_response()
}

#[cfg(test)]
mod tests;
