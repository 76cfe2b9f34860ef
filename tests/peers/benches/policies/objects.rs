//! The workloads and their policies, from twenty templates.

use futures::{StreamExt, TryStreamExt};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::Outcome;
use crate::querier::{Load, PER_REPLICA, STANDS_AT};

const TEMPLATES: usize = 20;
const NAMESPACES: usize = 50;
const REPLICAS: i32 = 8;
/// Objects under way.
const AT_ONCE: usize = 32;

fn namespace(n: usize) -> String {
    format!("team-{}", n % NAMESPACES)
}

async fn post(client: &Client, path: String, object: Value) -> Result<(), String> {
    let request = http::Request::post(&path).header("content-type", "application/json");
    let request = request.body(object.to_string().into_bytes()).map_err(|e| e.to_string())?;
    client.request_text(request).await.map(drop).map_err(|e| format!("{path}: {e}"))
}

/// Makes all of them.
pub(crate) async fn make(client: &Client, policies: usize) -> Outcome<()> {
    let definition: Value = thanos_telemetry::cli::parse_yaml(&autoscaler_api::crd_yaml()?)?;
    post(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".into(), definition).await?;
    for n in 0..NAMESPACES {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(n)}});
        post(client, "/api/v1/namespaces".into(), object).await?;
    }
    let of = |n: usize| {
        format!("/apis/autoscaling.gauntlet.dev/v1alpha1/namespaces/{}/scalingpolicies", namespace(n))
    };
    peers::until("policies are taken", async || post(client, of(0), policy(0)).await).await;
    let all = futures::stream::iter(0..policies).map(async |n| {
        post(client, format!("/apis/apps/v1/namespaces/{}/deployments", namespace(n)), deployment(n)).await?;
        if n > 0 { post(client, of(n), policy(n)).await } else { Ok(()) }
    });
    Ok(all.buffer_unordered(AT_ONCE).try_collect::<()>().await?)
}

fn deployment(n: usize) -> Value {
    let name = format!("web-{n}");
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": "web"}]},
            },
        },
    })
}

/// Templates differ in what a team would say otherwise: the range, the age, windows and rates.
fn policy(n: usize) -> Value {
    let (name, template) = (format!("web-{n}"), n % TEMPLATES);
    let range = [5, 10, 30, 60][template % 4];
    let window = [0, 10, 30, 60, 300][template % 5];
    let down = json!({
        "stabilizationWindowSeconds": window,
        "policies": [{"type": "Pods", "value": 1 + template % 3, "periodSeconds": 15}],
    });
    json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 2, "maxReplicas": 40, "interval": "1s",
            "metrics": [{
                "name": "requests",
                "query": format!("sum(rate(request_total{{deployment=\"{name}\"}}[{range}s]))"),
                "target": {"type": "AverageValue", "averageValue": PER_REPLICA.to_string()},
                "evidence": {"maxAge": format!("{}s", 10 + template), "clusters": ["east"]},
            }],
            "behavior": {"scaleDown": down},
        },
    })
}

/// What stands is at what its load asks for, and of what moves most have moved: a controller that does nothing would
/// use nothing.
pub(crate) async fn check(client: &Client, load: &Load) -> Outcome<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let (mut moved, mut moving) = (0, 0);
    for object in api.list(&ListParams::default()).await?.items {
        let name = object.metadata.name.unwrap_or_default();
        let n: usize = name.strip_prefix("web-").and_then(|n| n.parse().ok()).ok_or(name.clone())?;
        let replicas = object.data["spec"]["replicas"].as_i64().unwrap_or(0);
        if load.moves(n) {
            (moving, moved) = (moving + 1, moved + usize::from(replicas != i64::from(REPLICAS)));
        } else if replicas as f64 != (STANDS_AT / PER_REPLICA).ceil() {
            return Err(format!("{name} has {replicas} replicas at a load of {STANDS_AT}").into());
        }
    }
    if moved * 2 < moving {
        return Err(
            format!("only {moved} of {moving} whose load moves of {} have moved", load.policies()).into()
        );
    }
    Ok(())
}
