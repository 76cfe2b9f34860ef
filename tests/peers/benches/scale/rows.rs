//! What decides in each row, and the objects it is told by.

use std::path::Path;
use std::time::Duration;

use kube::Client;
use peers::{Server, World, until};
use serde_json::{Value, json};

use crate::Outcome;
use crate::watched::Watched;

/// The name of the HPA's metric.
pub(crate) const METRIC: &str = "requests";
/// Of all rows.
pub(crate) const QUERY: &str = r#"sum(rate(request_total{deployment="web",direction="inbound"}[5s]))"#;
/// Requests a second before and after a step.
pub(crate) const RATES: (f64, f64) = (20.0, 80.0);
/// What a replica is to take. With 10% of tolerance, all between 67.4 and 81.6 a second end at 4 replicas. Below is so
/// much room because a rate over 5 s is up to a seventh too low where its newest sample is older than 1.1 s, as in row
/// `a` just before a sample comes: remote write waits 200 ms for more.
pub(crate) const TARGET: f64 = 20.4;
/// Replicas before and after a step.
pub(crate) const REPLICAS: (i32, i32) = (1, 4);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    A,
    B,
    B2,
    B3,
    C,
    C2,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [Self::A, Self::B, Self::B2, Self::B3, Self::C, Self::C2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::B2 => "b2",
            Self::B3 => "b3",
            Self::C => "c",
            Self::C2 => "c2",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::A => "ours, embedded API server, our scrape, Receive and querier",
            Self::B => "ours, real control plane, Prometheus",
            Self::B2 => "ours, real control plane, Prometheus, Thanos sidecar and querier",
            Self::B3 => "ours every 200 ms, real control plane, Prometheus",
            Self::C => "HPA, every 15 s (default), Prometheus",
            Self::C2 => "HPA, every 1 s, Prometheus",
        }
    }

    /// Of our policy.
    fn interval(self) -> &'static str {
        if self == Self::B3 { "200ms" } else { "1s" }
    }

    pub(crate) fn is_hpa(self) -> bool {
        matches!(self, Self::C | Self::C2)
    }

    /// The real programs without which it cannot be.
    pub(crate) fn needs(self) -> &'static [&'static str] {
        const ALL: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "prometheus", "thanos"];
        match self {
            Self::A => &[],
            Self::B2 => &ALL,
            _ => ALL.split_at(4).0,
        }
    }
}

/// One row at work.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) watched: Watched,
    controller: Option<Server>,
}

impl Row {
    /// Our controller on a Deployment.
    pub(crate) async fn ours(
        kind: Kind,
        world: &World,
        client: &Client,
        kubeconfig: &Path,
        query_url: &str,
    ) -> Outcome<Self> {
        let name = deployment(client, kind).await?;
        let definition = thanos_telemetry::cli::parse_yaml(&autoscaler_api::crd_yaml()?)?;
        create(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await?;
        create(
            client,
            "/apis/autoscaling.gauntlet.dev/v1alpha1/namespaces/default/scalingpolicies",
            &policy(kind, &name),
        )
        .await?;
        let flags = format!(
            "autoscaler run --listen-address {{ip}}:9095 --kubeconfig {} --context east --query-url {query_url}",
            kubeconfig.display()
        );
        let controller = world.ours(&format!("autoscaler-{}", kind.name()), &flags, "9095/ready").await;
        Ok(Self { kind, watched: Watched::start(client.clone(), &name), controller: Some(controller) })
    }

    /// The real HPA on a Deployment.
    pub(crate) async fn theirs(kind: Kind, client: &Client) -> Outcome<Self> {
        let name = deployment(client, kind).await?;
        create(client, "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", &hpa(&name))
            .await?;
        Ok(Self { kind, watched: Watched::start(client.clone(), &name), controller: None })
    }

    /// Starts our controller again after a while. Its evaluations lie on a grid that begins with it, and scrapes on one
    /// of the clock's: without this, every step would be taken at the same distance between the two. A HPA's drift.
    pub(crate) async fn again(&mut self, after: Duration) {
        if let Some(controller) = &mut self.controller {
            controller.terminate().await;
            tokio::time::sleep(after).await;
            controller.again().await;
        }
    }
}

/// Posts an object, again while it is refused: what it stands on may only just have been made.
pub(crate) async fn create(client: &Client, path: &str, object: &Value) -> Outcome<()> {
    let body = object.to_string().into_bytes();
    until(&format!("{path} takes an object"), async || {
        let request = http::Request::post(path).header("content-type", "application/json").body(body.clone());
        let request = request.map_err(|e| e.to_string())?;
        client.request_text(request).await.map_err(|e| e.to_string())
    })
    .await;
    Ok(())
}

/// A Deployment for the row. Without a node its pods stay pending, which is enough for all that decide here.
async fn deployment(client: &Client, kind: Kind) -> Outcome<String> {
    let name = format!("web-{}", kind.name());
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": REPLICAS.0,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "idle", "image": "shell", "command": ["shell", "-c", "exec sleep 100000"],
                    }],
                },
            },
        },
    });
    create(client, "/apis/apps/v1/namespaces/default/deployments", &object).await?;
    Ok(name)
}

/// As fast as may be, in both directions, so that what takes time is what is measured.
fn behavior() -> Value {
    json!({
        "scaleUp": {
            "stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}],
        },
    })
}

fn target(deployment: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment})
}

fn policy(kind: Kind, deployment: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": deployment},
        "spec": {
            "scaleTargetRef": target(deployment), "minReplicas": 1, "maxReplicas": 20,
            "interval": kind.interval(),
            "metrics": [{
                "name": METRIC, "query": QUERY,
                "target": {"type": "AverageValue", "averageValue": TARGET.to_string()},
                "evidence": {"maxAge": "3s", "clusters": ["east"]},
            }],
            "behavior": behavior(),
        },
    })
}

fn hpa(deployment: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": deployment},
        "spec": {
            "scaleTargetRef": target(deployment), "minReplicas": 1, "maxReplicas": 20,
            "metrics": [{
                "type": "External",
                "external": {
                    "metric": {"name": METRIC},
                    "target": {"type": "AverageValue", "averageValue": TARGET.to_string()},
                },
            }],
            "behavior": behavior(),
        },
    })
}
