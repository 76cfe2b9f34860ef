//! Loads that are recorded in a Prometheus: asked for before anything starts, over its HTTP API alone.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::IgnoredAny;
use simulations_load::series::{Point, stages};
use simulations_scenario::{Range, Scenario, Series};
use thanos_model::{HttpUrl, http_url};

/// For all of one series' answers.
const DEADLINE: Duration = Duration::from_secs(30);
/// Most bytes of one answer that are read.
const BODY_MAX_BYTES: usize = 8 << 20;
/// Points of one question: Prometheus refuses more than 11,000.
const QUESTION_POINTS: usize = 10_000;
/// Most characters of a server's words that go into a message.
const QUOTE_MAX: usize = 200;

/// Asks for the series of every load that is a query.
///
/// # Errors
/// What could not be had, or not be played, by the load's path in the file.
pub async fn fetch(scenario: &mut Scenario) -> Result<(), String> {
    let paths: Vec<String> = scenario.load.with_paths().map(|(path, _)| path).collect();
    for (path, load) in paths.into_iter().zip(scenario.load.iter_mut()) {
        let Some(series) = &mut load.series else { continue };
        let (Some(range), true) = (series.range(), series.file.is_none()) else { continue };
        let answer = tokio::time::timeout(DEADLINE, ask(series, range));
        let points = answer.await.unwrap_or_else(|_| Err(format!("no answer within {DEADLINE:?}")));
        let played = points.and_then(|points| stages(&points, series.speed, series.scale));
        series.stages = played.map_err(|e| {
            let url = http_url::without_secrets(series.url.as_deref().unwrap_or_default());
            format!("{path}.series: {url}: {e}")
        })?;
    }
    Ok(())
}

async fn ask(series: &Series, range: Range) -> Result<Vec<Point>, String> {
    let base = series.url.as_deref().unwrap_or_default();
    let endpoint = HttpUrl::parse(base).map_err(|e| e.to_string())?.joined("api/v1/query_range");
    let client = Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("gauntlet-run/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| e.to_string())?;
    let mut points = Vec::new();
    while points.len() < range.points {
        let part = Range {
            from_ms: range.from_ms + range.step_ms * points.len() as i64,
            points: (range.points - points.len()).min(QUESTION_POINTS),
            ..range
        };
        let body = post(&client, &endpoint, series.query.as_deref().unwrap_or_default(), part).await?;
        points.extend(decode(&body, part)?);
    }
    Ok(points)
}

async fn post(client: &Client, endpoint: &HttpUrl, query: &str, part: Range) -> Result<Vec<u8>, String> {
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let last = part.from_ms + part.step_ms * (part.points as i64 - 1);
    let form = [
        ("query", query.to_owned()),
        ("start", seconds(part.from_ms)),
        ("end", seconds(last)),
        ("step", seconds(part.step_ms)),
    ];
    let form = Url::parse_with_params("http://form.invalid/", form).map_err(|e| e.to_string())?;
    let request = client
        .post(endpoint.expose().clone())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.query().unwrap_or_default().to_owned());
    let cause = |e: reqwest::Error| {
        let e = e.without_url();
        let mut cause: &dyn std::error::Error = &e;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        format!("cannot be asked: {cause}")
    };
    let mut response = request.send().await.map_err(cause)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(cause)? {
        if body.len() + chunk.len() > BODY_MAX_BYTES {
            return Err(format!(
                "the answer is over {BODY_MAX_BYTES} bytes; aggregate, for example with sum(…)"
            ));
        }
        body.extend_from_slice(&chunk);
    }
    // The API's own errors come with a status too, and say more.
    if !status.is_success() && serde_json::from_slice::<Envelope>(&body).is_err() {
        return Err(format!("{status}: {:?}", clip(String::from_utf8_lossy(&body).trim())));
    }
    Ok(body)
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Vec<Sampled>,
}

#[derive(Deserialize)]
struct Sampled {
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<IgnoredAny>,
}

/// One series with a value at each moment of `part`, or what is amiss and when.
fn decode(body: &[u8], part: Range) -> Result<Vec<Point>, String> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|e| format!("the answer is not the Prometheus API's: {e}"))?;
    let Some(data) = envelope.data.filter(|_| envelope.status == "success") else {
        return Err(format!("refused: {}", clip(envelope.error.as_deref().unwrap_or("no reason given"))));
    };
    if data.result_type != "matrix" {
        return Err(format!("the query returned a {}, not a range of samples", clip(&data.result_type)));
    }
    let [series] = &data.result[..] else {
        let n = data.result.len();
        return Err(format!("the query returned {n} series; exactly one is a load, for example with sum(…)"));
    };
    if !series.histograms.is_empty() {
        return Err("the query returned histograms, not numbers".into());
    }
    let when =
        |ms: i64| Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |at| at.to_string());
    let mut given = series.values.iter().peekable();
    let mut points = Vec::with_capacity(part.points);
    for i in 0..part.points {
        let at_ms = part.from_ms + part.step_ms * i as i64;
        let at_s = at_ms as f64 / 1000.0;
        // Servers write milliseconds, some fewer digits.
        let Some((_, text)) = given.next_if(|(given_s, _)| (given_s - at_s).abs() < 0.0015) else {
            return Err(format!("no value at {}; choose a range without gaps, or fill them", when(at_ms)));
        };
        let value = text.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
        let value = value.ok_or_else(|| format!("{:?} at {} is no rate", clip(text), when(at_ms)))?;
        points.push(Point { at_s, value });
    }
    Ok(points)
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
