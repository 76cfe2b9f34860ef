//! The queries on which two queriers are compared: `tests/peers/queries.txt`.

use serde_json::Value;

use crate::http::{client, get_json};

/// One query of the list.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// PromQL.
    pub text: &'static str,
    /// Whether Thanos answers as Prometheus does; the list says why not.
    pub thanos_agrees: bool,
}

/// The whole list.
pub fn all() -> impl Iterator<Item = Query> {
    let mut thanos_agrees = true;
    include_str!("../queries.txt").lines().filter_map(move |line| {
        match line {
            "[both]" => thanos_agrees = true,
            "[prometheus]" => thanos_agrees = false,
            text if !text.is_empty() && !text.starts_with('#') => return Some(Query { text, thanos_agrees }),
            _ => {}
        }
        None
    })
}

impl Query {
    /// Whether the order of series is part of an instant answer.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        ["sort", "topk", "bottomk"].iter().any(|f| self.text.starts_with(f))
    }
}

/// Asks for an instant, seconds.
/// # Errors
/// What went wrong on the way.
pub async fn instant(base: &str, query: &str, at_s: f64) -> Result<(u16, Value), String> {
    post(base, "query", &[("query", query), ("time", &at_s.to_string())]).await
}

/// Asks for a range, seconds.
/// # Errors
/// What went wrong on the way.
pub async fn range(
    base: &str,
    query: &str,
    from_s: f64,
    to_s: f64,
    step_s: f64,
) -> Result<(u16, Value), String> {
    let [from, to, step] = [from_s, to_s, step_s].map(|s| s.to_string());
    post(base, "query_range", &[("query", query), ("start", &from), ("end", &to), ("step", &step)]).await
}

/// Any other endpoint under `/api/v1/`, parameters in the URL.
/// # Errors
/// What went wrong on the way.
pub async fn other(base: &str, path: &str, params: &[(&str, &str)]) -> Result<(u16, Value), String> {
    let url = reqwest::Url::parse_with_params(&format!("{base}/api/v1/{path}"), params)
        .map_err(|e| e.to_string())?;
    get_json(url.as_str()).await
}

async fn post(base: &str, path: &str, form: &[(&str, &str)]) -> Result<(u16, Value), String> {
    let url = reqwest::Url::parse_with_params("http://x/", form).map_err(|e| e.to_string())?;
    let request = client()
        .post(format!("{base}/api/v1/{path}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(url.query().unwrap_or_default().to_owned());
    let answer = request.send().await.map_err(|e| e.to_string())?;
    let (status, body) = (answer.status().as_u16(), answer.text().await.map_err(|e| e.to_string())?);
    let json = serde_json::from_str(&body).map_err(|e| format!("{status}: {e}: {body:.200}"))?;
    Ok((status, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let (both, prometheus): (Vec<_>, Vec<_>) = all().partition(|q| q.thanos_agrees);
        assert!(both.len() > 150 && prometheus.len() > 5, "{} {}", both.len(), prometheus.len());
    }
}
