//! A client with a deadline.

use std::time::Duration;

use serde_json::Value;

/// A client whose every request has a deadline, for plain HTTP.
/// # Panics
/// Never: nothing in it can be wrong.
#[must_use]
pub fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build();
    client.unwrap_or_else(|e| panic!("a client: {e}"))
}

/// Status and body of `GET url`.
/// # Errors
/// What went wrong on the way.
pub async fn get(url: &str) -> Result<(u16, String), String> {
    let answer = client().get(url).send().await.map_err(|e| e.to_string())?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await.map_err(|e| e.to_string())?))
}

/// Status and body of `GET url`, the body as JSON.
/// # Errors
/// What went wrong on the way, a body that is no JSON included.
pub async fn get_json(url: &str) -> Result<(u16, Value), String> {
    let (status, body) = get(url).await?;
    let json = serde_json::from_str(&body).map_err(|e| format!("{status}: {e}: {body:.200}"))?;
    Ok((status, json))
}
