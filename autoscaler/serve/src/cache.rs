//! Objects of one kind, followed by a watch. While the API server is away the last known ones stay.

use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

/// How long one watch lasts; a new one begins where it ended.
const WATCH_S: u32 = 30;
/// Pauses while the API server is away, doubled up to the second; while it forbids, up to the third.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
const PAUSE_FORBIDDEN: Duration = Duration::from_secs(60);

/// What a watch says.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// These are all objects.
    All(Vec<Value>),
    /// One is there, or changed.
    Put(Value),
    /// One is gone.
    Gone { namespace: String, name: String },
}

/// Follows all objects of a kind until the task is dropped. Untyped: one that does not read as it should ends nothing.
/// Of each, `keep` says what is worth its memory.
pub(crate) async fn follow(
    client: Client,
    resource: ApiResource,
    keep: impl Fn(&Value) -> Value,
    mut tell: impl FnMut(Change),
) {
    let what = resource.plural.clone();
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let events = watcher(api, watcher::Config::default().timeout(WATCH_S));
    let mut events = std::pin::pin!(events);
    let mut listing = Vec::new();
    // The crate's own back-off begins anew with each `Init`, which comes before every list, also before one that fails.
    let (mut failing, mut pause) = (false, PAUSE_FIRST);
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                if !failing {
                    tracing::warn!(what, %error, "cannot be watched; going on with those known");
                }
                failing = true;
                tokio::time::sleep(pause).await;
                let longest = if is_forbidden(&error) { PAUSE_FORBIDDEN } else { PAUSE_LONGEST };
                pause = (pause * 2).min(longest);
                continue;
            }
        };
        let begins = matches!(event, watcher::Event::Init | watcher::Event::InitApply(_));
        if !begins {
            pause = PAUSE_FIRST;
            if std::mem::take(&mut failing) {
                tracing::info!(what, "watched again");
            }
        }
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(object) => listing.push(kept(&object, &keep)),
            watcher::Event::InitDone => tell(Change::All(std::mem::take(&mut listing))),
            watcher::Event::Apply(object) => tell(Change::Put(kept(&object, &keep))),
            watcher::Event::Delete(object) => tell(Change::Gone {
                namespace: object.namespace().unwrap_or_default(),
                name: object.name_any(),
            }),
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(why)
    | watcher::Error::WatchStartFailed(why)
    | watcher::Error::WatchFailed(why)) = error
    else {
        return false;
    };
    matches!(why, kube::Error::Api(status) if status.code == 403)
}

fn kept(object: &DynamicObject, keep: &impl Fn(&Value) -> Value) -> Value {
    let mut kept = keep(&object.data);
    if let Some(fields) = kept.as_object_mut() {
        fields.insert(
            "metadata".into(),
            serde_json::json!({
                "namespace": object.metadata.namespace, "name": object.metadata.name,
                "generation": object.metadata.generation, "deletionTimestamp": object.metadata.deletion_timestamp,
            }),
        );
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Request, Response, StatusCode};
    use kube::api::GroupVersionKind;
    use parking_lot::Mutex;
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    /// When an API server was asked that fails so many lists with this code, and watches without an end.
    async fn asked_when(fails: usize, code: u16) -> Vec<Duration> {
        let (asked, began): (Arc<Mutex<Vec<Duration>>>, _) = (Arc::default(), Instant::now());
        let kept = asked.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let mut asked = kept.lock();
            asked.push(began.elapsed());
            let fails = asked.len() <= fails;
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            async move {
                if watches {
                    std::future::pending::<()>().await;
                }
                let status = if fails { code } else { 200 };
                let body = if fails {
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code})
                } else {
                    json!({"metadata": {"resourceVersion": "7"}, "items": []})
                };
                let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
                Ok::<_, std::convert::Infallible>(response.body(Body::from(body.to_string())).unwrap())
            }
        });
        let client = Client::new(service, "default");
        let kind =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "ConfigMap"), "configmaps");
        let (told, mut listed) = tokio::sync::mpsc::channel(8);
        let task = tokio::spawn(follow(client, kind, Value::clone, move |change| {
            assert!(matches!(change, Change::All(all) if all.is_empty()));
            told.try_send(()).unwrap();
        }));
        listed.recv().await.unwrap();
        task.abort();
        let asked = asked.lock();
        asked[..=fails].to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_fails_is_tried_after_pauses_that_grow() {
        for (code, fails, last) in [(503, 8, 2_000), (403, 12, 60_000)] {
            let asked = asked_when(fails, code).await;
            let pauses: Vec<u128> = asked.windows(2).map(|two| (two[1] - two[0]).as_millis()).collect();
            let grown: Vec<u128> = (0..fails).map(|n| (100_u128 << n).min(last)).collect();
            assert_eq!(pauses, grown, "{code}");
        }
    }
}
