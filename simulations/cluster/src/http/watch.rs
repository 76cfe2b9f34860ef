//! Watches: a cursor over a collection's history, woken by the revision bell.
//!
//! A watch holds no queue: what it has not yet sent is in the history, which is bounded. One that falls behind
//! it ends with 410, and its client lists again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use simulations_kernel::Clock;
use tokio::time::Instant;

use super::body::Shape;
use super::{Server, metadata_only};
use crate::api::{Api, in_version};
use crate::bell::Ear;
use crate::error::{ApiError, Result};
use crate::resources::Resource;
use crate::selector::Selector;
use crate::store::{Change, ChangeKind};
use crate::table;

const TIMEOUT_DEFAULT_S: u64 = 1800;
const TIMEOUT_MAX_S: u64 = 24 * 3600;
const BOOKMARK_EVERY: Duration = Duration::from_secs(30);
/// Changes sent in one chunk.
const BATCH: usize = 256;

/// How long a watch lasts that is asked to last so long; 0 is as not told.
fn lasts_s(asked_s: Option<u64>) -> u64 {
    asked_s.filter(|s| *s > 0).unwrap_or(TIMEOUT_DEFAULT_S).min(TIMEOUT_MAX_S)
}

/// A watch as asked for.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) resource: Arc<Resource>,
    pub(super) namespace: Option<String>,
    pub(super) selector: Selector,
    pub(super) shape: Shape,
    pub(super) include_object: String,
    pub(super) bookmarks: bool,
    pub(super) send_initial: bool,
    pub(super) timeout_s: Option<u64>,
}

struct Running {
    watch: Watch,
    api: Arc<Api>,
    clock: Clock,
    bell: Ear,
    shutdown: thanos_telemetry::Shutdown,
    cursor: u64,
    /// Sent before anything else.
    first: Bytes,
    ends: Instant,
    bookmark_due: Instant,
    over: bool,
}

impl Watch {
    /// Begins at a revision; "" and "0" begin with the present state.
    pub(super) fn start(
        self,
        server: &Server,
        from: &str,
    ) -> Result<impl Stream<Item = std::result::Result<Bytes, Infallible>> + use<>> {
        let api = server.api.clone();
        // Subscribed before the state is read: nothing is missed in between.
        let bell = api.ear();
        let from_now = from.is_empty() || from == "0" || self.send_initial;
        let (mut first, mut over) = (Vec::new(), false);
        let cursor = if from_now {
            let namespace = self.namespace.as_deref();
            let page = api.with(|s| s.list(&self.resource, namespace, &self.selector, 0, "", None))?;
            for object in &page.items {
                self.write(&mut first, "ADDED", object, &server.clock);
            }
            if self.send_initial && self.bookmarks {
                self.write_bookmark(&mut first, page.revision, true);
            }
            page.revision
        } else {
            let cursor: u64 = from
                .parse()
                .map_err(|_| ApiError::bad_request(format!("resourceVersion {from:?}: must be a number")))?;
            let known = api.with(|s| s.store.changes_after(&self.resource.collection, cursor).is_ok());
            if !known {
                // In the stream, as the original does: a client's error handling is the same as for a watch that
                // falls behind later.
                write_line(&mut first, "ERROR", &too_old(cursor).to_status());
                over = true;
            }
            cursor
        };
        let timeout_s = lasts_s(self.timeout_s);
        let now = Instant::now();
        let running = Running {
            api,
            clock: server.clock.clone(),
            bell,
            shutdown: server.shutdown.clone(),
            cursor,
            first: first.into(),
            ends: now + Duration::from_secs(timeout_s),
            bookmark_due: now + BOOKMARK_EVERY,
            over,
            watch: self,
        };
        Ok(futures::stream::unfold(running, |mut running| async move {
            let chunk = running.next().await?;
            Some((Ok(chunk), running))
        }))
    }

    fn write(&self, out: &mut Vec<u8>, kind: &str, object: &Value, clock: &Clock) {
        let object = in_version(&self.resource, object);
        let shown = match self.shape {
            Shape::Whole => {
                write_line(out, kind, &object);
                return;
            }
            Shape::Table => table::table(&self.resource, &[&object], &self.include_object, clock.now()),
            Shape::Metadata => metadata_only(&object),
        };
        write_line(out, kind, &shown);
    }

    fn write_bookmark(&self, out: &mut Vec<u8>, revision: u64, initial_end: bool) {
        let mut meta = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, version) = match self.shape {
            Shape::Whole => (self.resource.kind.clone(), self.resource.api_version()),
            Shape::Table => ("Table".to_owned(), "meta.k8s.io/v1".to_owned()),
            Shape::Metadata => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        write_line(out, "BOOKMARK", &json!({"kind": kind, "apiVersion": version, "metadata": meta}));
    }

    /// What a change means to this watch: matching may begin or end with it.
    fn see(&self, change: &Change) -> Option<(&'static str, Arc<Value>)> {
        let here = |object: &Value| {
            self.namespace.as_deref().is_none_or(|ns| ns == crate::object::namespace(object))
                && self.selector.matches(object)
        };
        let before = change.previous.as_deref().is_some_and(here);
        let after = change.kind != ChangeKind::Deleted && here(&change.object);
        match (before, after) {
            (false, true) => Some(("ADDED", change.object.clone())),
            (true, true) => Some(("MODIFIED", change.object.clone())),
            (true, false) => Some(("DELETED", change.object.clone())),
            (false, false) => None,
        }
    }
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        while !self.over {
            // What rings after this line is seen by `changed` below.
            self.bell.hear();
            if let Some(chunk) = self.scan() {
                return Some(chunk);
            }
            let bookmark_due = self.bookmark_due;
            tokio::select! {
                // In one order: which of two that are due comes first is the same in every run.
                biased;
                () = self.shutdown.started() => self.over = true,
                () = self.bell.changed() => {}
                () = tokio::time::sleep_until(self.ends) => self.over = true,
                () = tokio::time::sleep_until(bookmark_due), if self.watch.bookmarks => {
                    self.bookmark_due = Instant::now() + BOOKMARK_EVERY;
                    let mut out = Vec::new();
                    self.watch.write_bookmark(&mut out, self.cursor, false);
                    return Some(out.into());
                }
            }
        }
        None
    }

    /// The changes since the cursor, encoded; the lock is held only to take their handles.
    fn scan(&mut self) -> Option<Bytes> {
        let collection = &self.watch.resource.collection;
        let cursor = self.cursor;
        let found = self.api.with(|state| {
            let mut changes = state.store.changes_after(collection, cursor).ok()?;
            let batch: Vec<Change> = changes.by_ref().take(BATCH).cloned().collect();
            let more = changes.next().is_some();
            let upto = batch.last().filter(|_| more).map_or(state.store.revision(), |c| c.revision);
            Some((batch, upto, more))
        });
        let mut out = Vec::new();
        let Some((batch, upto, more)) = found else {
            write_line(&mut out, "ERROR", &too_old(cursor).to_status());
            self.over = true;
            return Some(out.into());
        };
        self.cursor = upto;
        for change in &batch {
            if let Some((kind, object)) = self.watch.see(change) {
                self.watch.write(&mut out, kind, &object, &self.clock);
            }
        }
        if out.is_empty() && more {
            return self.scan();
        }
        (!out.is_empty()).then(|| out.into())
    }
}

fn too_old(revision: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {revision}"))
}

fn write_line(out: &mut Vec<u8>, kind: &str, object: &Value) {
    out.extend_from_slice(format!("{{\"type\":\"{kind}\",\"object\":").as_bytes());
    // Writing JSON into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, object);
    out.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_is_told_no_time_or_none_at_all_lasts_as_by_default() {
        for (asked, lasts) in [
            (None, TIMEOUT_DEFAULT_S),
            (Some(0), TIMEOUT_DEFAULT_S),
            (Some(1), 1),
            (Some(u64::MAX), TIMEOUT_MAX_S),
        ] {
            assert_eq!(lasts_s(asked), lasts, "{asked:?}");
        }
    }
}
