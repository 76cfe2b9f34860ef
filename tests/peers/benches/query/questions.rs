//! What is asked, and what a right answer looks like.

use std::error::Error;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::mesh::DEPLOYMENTS;
use crate::rig::CLUSTERS;

/// A range query's length and step, seconds.
struct Range {
    length_s: i64,
    step_s: i64,
}

/// One query.
pub(crate) struct Question {
    /// For the table.
    pub(crate) name: &'static str,
    text: &'static str,
    range: Option<Range>,
    /// Series that the answer must have.
    series: usize,
}

/// An answer: HTTP status and body.
pub(crate) type Answer = (u16, Value);

/// Those of the autoscaler and of dashboards; the autoscaler's comes first.
pub(crate) fn all() -> [Question; 5] {
    let deployments = DEPLOYMENTS.len();
    let ten_minutes = |step_s| Some(Range { length_s: 600, step_s });
    [
        Question {
            name: "rate of one deployment, instant",
            text: r#"sum(rate(request_total{deployment="web",direction="inbound"}[10s]))"#,
            range: None,
            series: 1,
        },
        Question {
            name: "rate by cluster and deployment, instant",
            text: "sum by (cluster, deployment) (rate(request_total[1m]))",
            range: None,
            series: CLUSTERS.len() * deployments,
        },
        Question {
            name: "p99 by deployment, instant",
            text: "histogram_quantile(0.99, sum by (le, deployment) (rate(response_latency_ms_bucket[1m])))",
            range: None,
            series: deployments,
        },
        Question {
            name: "success rate, 10 min by 5 s",
            text: r#"sum by (cluster, deployment) (rate(response_total{classification="success"}[1m]))
                     / sum by (cluster, deployment) (rate(response_total[1m]))"#,
            range: ten_minutes(5),
            series: CLUSTERS.len() * deployments,
        },
        Question {
            name: "p95 by deployment, 10 min by 15 s",
            text: "histogram_quantile(0.95, sum by (le, deployment) (rate(response_latency_ms_bucket[1m])))",
            range: ten_minutes(15),
            series: deployments,
        },
    ]
}

impl Question {
    /// Asks `base` for the moment `at_ms`, and says how long it took until the last byte was there.
    ///
    /// # Errors
    /// What went wrong on the way, and an answer that is not what it must be.
    pub(crate) async fn ask(
        &self,
        client: &reqwest::Client,
        base: &str,
        at_ms: i64,
    ) -> Result<(Duration, Answer), Box<dyn Error>> {
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let (path, form) = match &self.range {
            None => ("query", vec![("time", seconds(at_ms))]),
            Some(Range { length_s, step_s }) => (
                "query_range",
                vec![
                    ("start", seconds(at_ms - length_s * 1000)),
                    ("end", seconds(at_ms)),
                    ("step", step_s.to_string()),
                ],
            ),
        };
        let form = form.iter().map(|(n, v)| (*n, v.as_str())).chain([("query", self.text)]);
        let form = reqwest::Url::parse_with_params("http://x/", form)?;
        let request = client
            .post(format!("{base}/api/v1/{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let start = Instant::now();
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        let took = start.elapsed();
        let answer = (status, serde_json::from_slice(&body)?);
        self.check(&answer).map_err(|why| format!("{base}: {}: {why}", self.name))?;
        Ok((took, answer))
    }

    fn check(&self, (status, body): &Answer) -> Result<(), String> {
        if *status != 200 || !body["warnings"].is_null() {
            return Err(format!("{status}: {body:.500}"));
        }
        let series = body["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
        let points = |s: &Value| match &self.range {
            None => usize::from(s["value"][1].as_str().is_some_and(|v| v != "NaN")),
            Some(_) => s["values"].as_array().map_or(0, Vec::len),
        };
        let points_wanted = self.range.as_ref().map_or(1, |r| (r.length_s / r.step_s + 1) as usize);
        if series.len() == self.series && series.iter().all(|s| points(s) == points_wanted) {
            return Ok(());
        }
        Err(format!(
            "not {} series of {points_wanted} points: {} of {:?}",
            self.series,
            series.len(),
            series.iter().map(points).collect::<Vec<_>>()
        ))
    }
}
