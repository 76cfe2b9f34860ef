use axum::http::Method;
use futures::StreamExt as _;
use tower::ServiceExt as _;

use super::*;

fn policy(name: &str) -> Value {
    json!({
        "apiVersion": "autoscaling.gauntlet.dev/v1alpha1", "kind": "ScalingPolicy",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1, "maxReplicas": 10, "interval": "15s",
            "metrics": [{
                "name": "requests", "query": "sum(rate(request_total[1m]))",
                "target": {"type": "AverageValue", "averageValue": "50"},
            }],
        },
    })
}

fn review_of(object: &Value) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "0f3c", "kind": {"group": "autoscaling.gauntlet.dev", "version": "v1alpha1", "kind": "ScalingPolicy"},
            "operation": "CREATE", "namespace": "shop", "object": object, "oldObject": null, "dryRun": true,
        },
    })
    .to_string()
}

fn served() -> Router {
    let mut known = Known::default();
    known.all_policies([&policy("first")]);
    known.all_hpas([]);
    router(Arc::new(RwLock::new(known)), Requests::default(), "cluster".into())
}

async fn send(method: Method, path: &str, body: impl Into<Body>) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).body(body.into()).unwrap();
    let response = served().oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, String::from_utf8_lossy(&body).into_owned())
}

async fn asked(object: &Value) -> Value {
    let (code, body) = send(Method::POST, PATH, review_of(object)).await;
    assert_eq!(code, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["response"]["uid"], "0f3c");
    answer["response"].clone()
}

#[tokio::test]
async fn policies_are_judged_as_check_judges_them() {
    let mut good = policy("second");
    good["spec"]["scaleTargetRef"]["name"] = json!("api");
    let answer = asked(&good).await;
    assert_eq!(answer["allowed"], true, "{answer}");
    let with = |path: &str, value: Value| {
        let mut object = good.clone();
        *object.pointer_mut(path).unwrap() = value;
        object
    };
    for (object, expected) in [
        (
            policy("second"),
            "spec.scaleTargetRef: Deployment web is already scaled by the active policy first",
        ),
        (with("/spec/metrics/0/query", json!("sum(rate(x[1m])")), "spec.metrics[0].query: "),
        (with("/spec/metrics/0/query", json!("vector(3)")), "spec.metrics[0].query: reads no series"),
        (with("/spec/minReplicas", json!(11)), "is below minReplicas 11"),
        (with("/spec/interval", json!("1ms")), "spec.interval: 1ms is out of range"),
        (
            with(
                "/spec/metrics/0",
                json!({
                    "name": "m", "query": "sum(x)", "target": {"type": "Value", "value": "1"},
                    "source": {"addresses": ["http://q"], "bearerToken": {"secretRef": {"name": "My Secret", "key": "k"}}},
                }),
            ),
            "spec.metrics[0].source.bearerToken.secretRef.name: \"My Secret\" names no object",
        ),
    ] {
        let answer = asked(&object).await;
        assert_eq!(answer["allowed"], false, "{object}");
        let message = answer["status"]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    // A schedule in PromQL reads no series and is none of these; a recorded series is only a note.
    let hours = asked(&with("/spec/metrics/0/query", json!("vector(5) and (hour() > 8)"))).await;
    assert_eq!(hours["allowed"], true, "{hours}");
    let recorded = asked(&with("/spec/metrics/0/query", json!("sum(job:requests:rate5m)"))).await;
    assert_eq!(recorded["allowed"], true);
    assert!(recorded["warnings"][0].as_str().unwrap().contains("looks recorded"), "{recorded}");
}

#[tokio::test]
async fn what_is_no_review_is_refused_within_its_bounds() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (method, path, body, expected) in [
        (Method::GET, PATH, String::new(), 405),
        (Method::POST, "/", String::new(), 404),
        (Method::POST, PATH, String::new(), 400),
        (Method::POST, PATH, deep, 400),
        (Method::POST, PATH, " ".repeat(BODY_BYTES_MAX + 1), 413),
    ] {
        let (code, body) = send(method.clone(), path, body).await;
        assert_eq!(code, expected, "{method} {path}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_end_are_given_up_and_keep_nobody_waiting() {
    let served = served();
    let post = |body: Body| Request::builder().method(Method::POST).uri(PATH).body(body).unwrap();
    let begun = || futures::stream::iter([Ok::<_, std::io::Error>(vec![b' '; 1 << 20])]);
    let slow = || Body::from_stream(begun().chain(futures::stream::pending()));
    let all = (0..5 * AT_ONCE).map(|_| served.clone().oneshot(post(slow())));
    let all = tokio::spawn(futures::future::join_all(all));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = tokio::time::Instant::now();
    let answer = served.clone().oneshot(post(Body::from(review_of(&policy("first"))))).await.unwrap();
    assert_eq!((answer.status().as_u16(), began.elapsed()), (200, Duration::ZERO));
    for ended in all.await.unwrap() {
        assert_eq!(ended.unwrap().status(), 504);
    }
}

#[tokio::test(start_paused = true)]
async fn more_bodies_than_there_is_memory_for_wait_and_leave_none_of_it_taken() {
    let served = served();
    let post = |body: Body| Request::builder().method(Method::POST).uri(PATH).body(body).unwrap();
    let begun = || futures::stream::iter([Ok::<_, std::io::Error>(vec![b' '; BODY_BYTES_MAX - 1])]);
    let huge = || Body::from_stream(begun().chain(futures::stream::pending()));
    let most = BODIES_BYTES_MAX / BODY_BYTES_MAX + 3;
    let all = futures::future::join_all((0..most).map(|_| served.clone().oneshot(post(huge())))).await;
    assert!(all.into_iter().all(|ended| ended.unwrap().status() == 504));
    let answer = served.oneshot(post(Body::from(review_of(&policy("first"))))).await.unwrap();
    assert_eq!(answer.status(), 200);
}
