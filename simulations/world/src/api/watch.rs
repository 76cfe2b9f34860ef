//! A watch on which things go wrong.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures::StreamExt as _;
use tokio::time::Instant;

use super::fault::ApiFaultKind;

/// The watch until it is cut, each chunk with what befalls it as it comes.
pub(super) fn disturbed(
    body: Body,
    cut: Option<(Instant, bool)>,
    befalling: impl Fn() -> Vec<ApiFaultKind> + Send + Sync + 'static,
) -> Body {
    let watch = Watch { inner: body.into_data_stream(), cut, over: false };
    Body::from_stream(futures::stream::unfold((watch, befalling), |(mut watch, befalling)| async move {
        let chunk = watch.next(&befalling).await?;
        Some((Ok::<_, axum::Error>(chunk), (watch, befalling)))
    }))
}

struct Watch {
    inner: BodyDataStream,
    /// When it ends, and whether it says why.
    cut: Option<(Instant, bool)>,
    over: bool,
}

impl Watch {
    async fn next(&mut self, befalling: &(impl Fn() -> Vec<ApiFaultKind> + Send + Sync)) -> Option<Bytes> {
        while !self.over {
            let chunk = tokio::select! {
                biased;
                () = until(self.cut) => return self.end(),
                chunk = self.inner.next() => chunk?.ok()?,
            };
            let befalling = befalling();
            let late: u64 =
                befalling.iter().map(|k| if let ApiFaultKind::WatchLate { ms } = k { *ms } else { 0 }).sum();
            if late > 0 {
                tokio::select! {
                    biased;
                    () = until(self.cut) => return self.end(),
                    () = tokio::time::sleep(Duration::from_millis(late)) => {}
                }
            }
            let mut chunk = chunk;
            if befalling.contains(&ApiFaultKind::NoBookmarks) {
                chunk = without_bookmarks(&chunk);
            }
            if befalling.contains(&ApiFaultKind::WatchRepeats) {
                chunk = [&*chunk, &*chunk].concat().into();
            }
            if !chunk.is_empty() {
                return Some(chunk);
            }
        }
        None
    }

    fn end(&mut self) -> Option<Bytes> {
        self.over = true;
        let gone = self.cut.is_some_and(|(_, gone)| gone);
        gone.then(|| Bytes::from_static(GONE))
    }
}

const GONE: &[u8] = br#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version","reason":"Expired","code":410}}
"#;

async fn until(cut: Option<(Instant, bool)>) {
    match cut {
        Some((at, _)) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The lines of a chunk that are no bookmarks; the one that ends an initial list is part of the list.
fn without_bookmarks(chunk: &Bytes) -> Bytes {
    let is_bookmark = |line: &&[u8]| {
        line.starts_with(br#"{"type":"BOOKMARK""#)
            && !line.windows(INITIAL_END.len()).any(|window| window == INITIAL_END)
    };
    let kept: Vec<&[u8]> = chunk.split_inclusive(|b| *b == b'\n').filter(|line| !is_bookmark(line)).collect();
    kept.concat().into()
}

const INITIAL_END: &[u8] = b"k8s.io/initial-events-end";
