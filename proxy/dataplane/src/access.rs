//! The access log: a line of JSON for each inbound request once its response is over, under the names that Linkerd's
//! has. Written to standard output by a thread of its own; where that does not keep up, lines are left out and counted,
//! and no request waits.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderName, Request, Response};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Lines that wait to be written.
const WAITING_MAX: usize = 4_096;
/// Longest of what a client chooses, in bytes: a line is to be read.
const TEXT_MAX: usize = 2_048;

/// Where lines go.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    lines: mpsc::Sender<Line>,
    left_out: Arc<AtomicU64>,
}

/// A request that is being answered; its line is written when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    log: AccessLog,
    line: Line,
    began: Instant,
}

/// One line.
#[derive(Clone, Debug, Default, Serialize)]
struct Line {
    timestamp: String,
    #[serde(rename = "client.addr")]
    client: String,
    method: String,
    host: String,
    uri: String,
    version: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_agent: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_bytes: Option<u64>,
    /// `None`: the client left before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    response_bytes: u64,
    /// Until the response's head.
    processing_ns: u64,
    total_ns: u64,
    /// Lines before this one that were left out.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl AccessLog {
    /// Writes to standard output until the last entry is gone.
    pub(crate) fn to_stdout() -> Self {
        let (lines, mut waiting) = mpsc::channel::<Line>(WAITING_MAX);
        std::thread::spawn(move || {
            let mut out = std::io::BufWriter::new(std::io::stdout());
            while let Some(line) = waiting.blocking_recv() {
                let written = serde_json::to_writer(&mut out, &line).is_ok() && out.write_all(b"\n").is_ok();
                // What waits already goes out together.
                if !written || (waiting.is_empty() && out.flush().is_err()) {
                    tracing::warn!("the access log cannot be written to standard output any more");
                    return;
                }
            }
        });
        Self { lines, left_out: Arc::default() }
    }

    /// A request came.
    pub(crate) fn entry<B>(&self, request: &Request<B>, client: Option<SocketAddr>) -> Entry {
        let header = |name: &HeaderName| {
            let value = request.headers().get(name).map(|v| String::from_utf8_lossy(v.as_bytes()));
            value.map_or_else(String::new, |v| cut(&v))
        };
        let uri = request.uri();
        let line = Line {
            timestamp: jiff::Timestamp::now().to_string(),
            client: client.map_or_else(String::new, |c| c.to_string()),
            method: cut(request.method().as_str()),
            host: uri.authority().map_or_else(|| header(&HOST), |a| cut(a.as_str())),
            uri: uri.path_and_query().map_or_else(String::new, |p| cut(p.as_str())),
            version: match request.version() {
                http::Version::HTTP_2 => "HTTP/2.0",
                http::Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            user_agent: header(&USER_AGENT),
            trace_id: trace_id(&header(&HeaderName::from_static("traceparent"))),
            request_bytes: header(&CONTENT_LENGTH).parse().ok(),
            ..Line::default()
        };
        Entry { log: self.clone(), line, began: Instant::now() }
    }
}

impl Entry {
    /// The head of the response is there.
    pub(crate) fn answered<B>(&mut self, response: &Response<B>) {
        self.line.status = Some(response.status().as_u16());
        self.line.processing_ns = self.elapsed_ns();
    }

    /// Some of its body was handed over.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.line.response_bytes = self.line.response_bytes.saturating_add(bytes as u64);
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        line.total_ns = self.elapsed_ns();
        line.left_out = self.log.left_out.swap(0, Ordering::Relaxed);
        if let Err(error) = self.log.lines.try_send(line) {
            let (mpsc::error::TrySendError::Full(line) | mpsc::error::TrySendError::Closed(line)) = error;
            self.log.left_out.fetch_add(line.left_out.saturating_add(1), Ordering::Relaxed);
        }
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// The second field of `traceparent` (W3C Trace Context).
fn trace_id(traceparent: &str) -> String {
    let id = traceparent.split('-').nth(1).unwrap_or_default();
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) { id.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(room: usize) -> (AccessLog, mpsc::Receiver<Line>) {
        let (lines, waiting) = mpsc::channel(room);
        (AccessLog { lines, left_out: Arc::default() }, waiting)
    }

    #[tokio::test]
    async fn a_line_for_each_request_and_a_count_of_those_left_out() {
        let (log, mut lines) = log(1);
        let request = Request::get("http://web/a?b")
            .header("user-agent", "test \"1\"")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let request = request.body(()).unwrap();
        let mut entry = log.entry(&request, Some(([127, 0, 0, 1], 7).into()));
        entry.answered(&Response::new(()));
        entry.sent(5);
        drop(entry);
        drop(log.entry(&request, None));
        drop(log.entry(&request, None));
        let line = serde_json::to_value(lines.recv().await.unwrap()).unwrap();
        for (field, expected) in [
            ("client.addr", "127.0.0.1:7"),
            ("method", "GET"),
            ("host", "web"),
            ("uri", "/a?b"),
            ("user_agent", "test \"1\""),
            ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ] {
            assert_eq!(line[field], expected, "{line}");
        }
        assert_eq!((line["status"].as_u64(), line["response_bytes"].as_u64()), (Some(200), Some(5)));
        drop(log.entry(&request, None));
        let line = lines.recv().await.unwrap();
        assert_eq!((line.left_out, line.status), (2, None));
    }

    #[test]
    fn what_a_client_chooses_is_cut() {
        assert_eq!(cut(&"é".repeat(2_000)).len(), 2_048);
        assert_eq!(trace_id("00-xyz-1-1"), "");
        assert_eq!(trace_id("junk"), "");
    }
}
