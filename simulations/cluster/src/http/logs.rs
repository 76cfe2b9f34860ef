//! `pods/log`: the files that the node writes, one line each led by its time.

use std::convert::Infallible;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::Server;
use super::path::Target;
use super::query::Params;
use crate::error::{ApiError, Result};
use crate::object;

/// How often a followed file is looked at.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// A file is bounded by the node; this bounds what is read of one that is not its own.
const READ_MAX_BYTES: u64 = 16 << 20;

struct Wanted {
    timestamps: bool,
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
    since: Option<Timestamp>,
}

pub(super) async fn answer(server: &Server, target: &Target, params: &Params) -> Result<Response> {
    let param = |name: &str| params.find(name).filter(|s| !s.is_empty());
    let number = |name: &str| params.number::<usize>(name);
    let namespace = target.namespace.clone().unwrap_or_default();
    let pod = server
        .api
        .with(|state| state.store.get("pods", &namespace, &target.name).cloned())
        .ok_or_else(|| ApiError::not_found("", "pods", &target.name))?;
    let container = pick_container(&pod, param("container"))?;
    let since = match (param("sinceTime"), number("sinceSeconds")?) {
        (Some(text), _) => Some(text.parse().map_err(|e| ApiError::bad_request(format!("sinceTime: {e}")))?),
        (None, Some(seconds)) => {
            let back = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            Some(server.clock.now().checked_sub(back).unwrap_or(Timestamp::MIN))
        }
        (None, None) => None,
    };
    let wanted = Wanted {
        timestamps: params.flag("timestamps"),
        tail_lines: number("tailLines")?,
        limit_bytes: number("limitBytes")?,
        since,
    };
    let dir = server
        .api
        .logs_dir
        .join(format!("{namespace}_{}_{}", target.name, object::uid(&pod)))
        .join(&container);
    let restarts = restarts(&pod, &container);
    let instance = if params.flag("previous") {
        restarts.checked_sub(1).ok_or_else(|| {
            ApiError::bad_request(format!(
                "previous terminated container {container:?} in pod {:?} not found",
                target.name
            ))
        })?
    } else {
        restarts
    };
    let path = dir.join(format!("{instance}.log"));
    let (text, position) = read_from(&path, 0).await;
    let shown = show(&text, &wanted);
    let plain = [(header::CONTENT_TYPE, "text/plain")];
    if !params.flag("follow") || params.flag("previous") {
        return Ok((plain, shown).into_response());
    }
    let follower = Follower {
        server: server.clone(),
        namespace,
        pod: target.name.clone(),
        uid: object::uid(&pod).to_owned(),
        container,
        dir,
        instance,
        position,
        timestamps: wanted.timestamps,
    };
    let start = futures::stream::iter((!shown.is_empty()).then(|| Ok::<_, Infallible>(Bytes::from(shown))));
    let rest = futures::stream::unfold(follower, |mut follower| async move {
        let chunk = follower.next().await?;
        Some((Ok(chunk), follower))
    });
    use futures::StreamExt as _;
    Ok((plain, Body::from_stream(start.chain(rest))).into_response())
}

fn pick_container(pod: &Value, asked: Option<&str>) -> Result<String> {
    let all: Vec<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|field| object::list(pod, &["spec", field]))
        .map(|c| object::text(c, &["name"]))
        .collect();
    let pod_name = object::name(pod);
    match asked {
        Some(name) if all.contains(&name) => Ok(name.to_owned()),
        Some(name) => Err(ApiError::bad_request(format!("container {name} is not valid for pod {pod_name}"))),
        None => match object::list(pod, &["spec", "containers"]) {
            [one] => Ok(object::text(one, &["name"]).to_owned()),
            _ => Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                all.join(" ")
            ))),
        },
    }
}

fn restarts(pod: &Value, container: &str) -> u64 {
    ["containerStatuses", "initContainerStatuses"]
        .iter()
        .flat_map(|field| object::list(pod, &["status", field]))
        .find(|s| object::text(s, &["name"]) == container)
        .and_then(|s| s.get("restartCount").and_then(Value::as_u64))
        .unwrap_or(0)
}

/// What is in the file from a position on, whole lines only, and where the next read begins.
async fn read_from(path: &PathBuf, position: u64) -> (String, u64) {
    let read = async {
        let mut file = File::open(path).await?;
        let length = file.metadata().await?.len();
        // A file that became shorter was begun anew.
        let position = if length < position { 0 } else { position };
        file.seek(SeekFrom::Start(position)).await?;
        let mut bytes = Vec::new();
        file.take(READ_MAX_BYTES).read_to_end(&mut bytes).await?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        bytes.truncate(whole);
        std::io::Result::Ok((String::from_utf8_lossy(&bytes).into_owned(), position + whole as u64))
    };
    read.await.unwrap_or((String::new(), position))
}

fn show(text: &str, wanted: &Wanted) -> String {
    let recent = |line: &&str| match (wanted.since, line.split_once(' ')) {
        (Some(since), Some((time, _))) => time.parse::<Timestamp>().is_ok_and(|t| t >= since),
        _ => true,
    };
    let lines: Vec<&str> = text.lines().filter(recent).collect();
    let skip = wanted.tail_lines.map_or(0, |tail| lines.len().saturating_sub(tail));
    let mut out = String::new();
    for line in lines.iter().skip(skip) {
        push_line(&mut out, line, wanted.timestamps);
    }
    if let Some(limit) = wanted.limit_bytes.filter(|limit| *limit < out.len()) {
        let cut = (0..=limit).rev().find(|i| out.is_char_boundary(*i)).unwrap_or(0);
        out.truncate(cut);
    }
    out
}

fn push_line(out: &mut String, line: &str, timestamps: bool) {
    let shown = if timestamps { line } else { line.split_once(' ').map_or(line, |(_, text)| text) };
    out.push_str(shown);
    out.push('\n');
}

struct Follower {
    server: Server,
    namespace: String,
    pod: String,
    uid: String,
    container: String,
    dir: PathBuf,
    instance: u64,
    position: u64,
    timestamps: bool,
}

impl Follower {
    /// The next lines; `None` when the container has ended and all was read.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Asked before reading: what it wrote before it ended is still read.
            let running = self.is_running();
            let (text, position) =
                read_from(&self.dir.join(format!("{}.log", self.instance)), self.position).await;
            self.position = position;
            if !text.is_empty() {
                let mut out = String::new();
                text.lines().for_each(|line| push_line(&mut out, line, self.timestamps));
                return Some(out.into());
            }
            if !running || self.server.shutdown.is_started() {
                return None;
            }
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    }

    fn is_running(&self) -> bool {
        let pod = self.server.api.with(|state| state.store.get("pods", &self.namespace, &self.pod).cloned());
        pod.is_some_and(|pod| {
            object::uid(&pod) == self.uid
                && restarts(&pod, &self.container) == self.instance
                && !object::list(&pod, &["status", "containerStatuses"]).iter().any(|s| {
                    object::text(s, &["name"]) == self.container
                        && object::at(s, &["state", "terminated"]).is_some()
                })
        })
    }
}
