//! Requests of the protocol, encoded before any clock starts, and their senders.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::try_join_all;
use prost::Message as _;
use thanos_storepb::prompb::{Sample, TimeSeries, WriteRequest};

use crate::Result;
use crate::population::{self, Series};

/// Senders at once; each keeps the order of its series and sends the next request when the last was answered.
pub(crate) const SENDERS: usize = 4;
/// Series of one request.
pub(crate) const SERIES_PER_REQUEST: usize = 1000;

/// One sample of every series in each round, a second apart.
pub(crate) struct Load {
    pub(crate) series: Vec<Series>,
    pub(crate) first_ms: i64,
    pub(crate) rounds: u64,
    /// By sender, by round.
    requests: [Vec<Vec<Bytes>>; SENDERS],
}

impl Load {
    /// Made up and encoded, its last round about now.
    pub(crate) fn encode(rounds: u64) -> Result<Self> {
        let series = population::series();
        let first_ms = (peers::traffic::now_ms() / 1000 - rounds as i64) * 1000;
        let mut requests: [Vec<Vec<Bytes>>; SENDERS] = Default::default();
        let mut snappy = snap::raw::Encoder::new();
        for (sender, own) in requests.iter_mut().enumerate() {
            // As Prometheus deals series out to shards: by number.
            let of_sender: Vec<&Series> = series.iter().skip(sender).step_by(SENDERS).collect();
            let mut forms: Vec<(&[&Series], WriteRequest)> =
                of_sender.chunks(SERIES_PER_REQUEST).map(|part| (part, form(part))).collect();
            for round in 0..rounds {
                let mut bodies = Vec::new();
                for (part, request) in &mut forms {
                    for (one, written) in part.iter().zip(&mut request.timeseries) {
                        let timestamp = first_ms + round as i64 * 1000;
                        written.samples = vec![Sample { value: one.value(round), timestamp }];
                    }
                    bodies.push(snappy.compress_vec(&request.encode_to_vec())?.into());
                }
                own.push(bodies);
            }
        }
        Ok(Self { series, first_ms, rounds, requests })
    }

    /// Samples of some rounds.
    pub(crate) fn samples(&self, rounds: &Range<u64>) -> u64 {
        self.series.len() as u64 * (rounds.end - rounds.start)
    }

    /// All requests.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Bytes> {
        self.requests.iter().flatten().flatten()
    }

    /// Sends rounds; how long that took. Every request has to be taken in full, at the first attempt.
    pub(crate) async fn send(&self, url: &str, rounds: Range<u64>) -> Result<Duration> {
        let start = Instant::now();
        let senders = self.requests.iter().map(|own| {
            let own = &own[rounds.start as usize..rounds.end as usize];
            send_all(url, own.iter().flatten())
        });
        try_join_all(senders).await?;
        Ok(start.elapsed())
    }
}

/// A request with everything but samples.
fn form(series: &[&Series]) -> WriteRequest {
    let one = |s: &&Series| TimeSeries { labels: s.labels.clone(), ..TimeSeries::default() };
    WriteRequest { timeseries: series.iter().map(one).collect(), ..WriteRequest::default() }
}

async fn send_all(url: &str, bodies: impl Iterator<Item = &Bytes>) -> Result<()> {
    let client = peers::http::client();
    for body in bodies {
        let sent = client
            .post(url)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(body.clone())
            .send();
        let answer = sent.await?;
        let (status, text) = (answer.status(), answer.text().await?);
        // Prometheus says 204.
        if !matches!(status.as_u16(), 200 | 204) || !text.is_empty() {
            return Err(format!("{url}: {status}: {text}").into());
        }
    }
    Ok(())
}
