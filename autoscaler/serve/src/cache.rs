//! Objects of one kind, followed by a watch. While the API server is away the last known ones stay.

use std::time::Duration;

use backon::ExponentialBuilder;
use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

/// How long one watch lasts; a new one begins where it ended.
const WATCH_S: u32 = 30;
/// Pauses while the API server is away.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);

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
    let pauses = ExponentialBuilder::default().with_min_delay(PAUSE_FIRST).with_max_delay(PAUSE_LONGEST);
    let pauses: watcher::ExponentialBackoff = pauses.without_max_times().into();
    let what = resource.plural.clone();
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let events = watcher(api, watcher::Config::default().timeout(WATCH_S)).backoff(pauses);
    let mut events = std::pin::pin!(events);
    let mut listing = Vec::new();
    let mut failing = false;
    while let Some(event) = events.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                if !failing {
                    tracing::warn!(what, %error, "cannot be watched; going on with those known");
                }
                failing = true;
                continue;
            }
        };
        if std::mem::take(&mut failing) {
            tracing::info!(what, "watched again");
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
