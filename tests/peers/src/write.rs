//! Remote write by hand: the same bytes to whoever takes them.

use prost::Message;
use thanos_model::Labels;
use thanos_storepb::prompb::{Sample, TimeSeries, WriteRequest};
use thanos_storepb::storepb::Label;

use crate::http::client;

/// A series and its samples: milliseconds, value.
pub type Written = (Labels, Vec<(i64, f64)>);

/// Writes `series` to `url`.
/// # Errors
/// Status and body of a refusal.
pub async fn push(url: &str, series: &[Written]) -> Result<(), String> {
    let series = series.iter().map(|(labels, samples)| TimeSeries {
        labels: labels
            .iter()
            .map(|l| Label { name: l.name.to_string(), value: l.value.to_string() })
            .collect(),
        samples: samples.iter().map(|(t, v)| Sample { timestamp: *t, value: *v }).collect(),
        ..TimeSeries::default()
    });
    let request = WriteRequest { timeseries: series.collect(), ..WriteRequest::default() };
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).map_err(|e| e.to_string())?;
    let sent = client()
        .post(url)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(body)
        .send();
    let answer = sent.await.map_err(|e| e.to_string())?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(format!("{status}: {}", answer.text().await.unwrap_or_default()))
}
