//! Whether a side passes the upstream's answers on as they are.

use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::Result;
use crate::side::Side;
use crate::upstream::{LARGE, TINY, Upstream};

/// What a proxy may add to an answer or say otherwise: fields of its own connection, and its own name and clock.
const OWN: [&str; 6] = ["connection", "keep-alive", "transfer-encoding", "date", "server", "via"];
const ENVOYS_OWN: &str = "x-envoy-";

/// Fails unless the side's answers have status, body and end-to-end headers of the upstream's.
pub(crate) async fn check(side: &Side, upstream: &Upstream) -> Result<()> {
    let [first, _] = upstream.addresses();
    for path in [TINY, LARGE] {
        let expected = ask(&format!("http://{first}{path}"), &first.to_string()).await?;
        // More often than there are upstreams, so that all of them answer.
        for _ in 0..8 {
            let got = ask(&format!("{}{path}", side.url()), &side.authority()).await?;
            if got != expected {
                let (name, got) = (side.kind.name(), &got);
                return Err(format!("{name} {path}: {got:.300?}, expected {expected:.300?}").into());
            }
        }
    }
    Ok(())
}

type Answer = (u16, Vec<(String, String)>, String);

async fn ask(url: &str, host: &str) -> Result<Answer> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    let answer = client.get(url).header("host", host).send().await?;
    let (status, headers) = (answer.status().as_u16(), end_to_end(answer.headers()));
    Ok((status, headers, answer.text().await?))
}

fn end_to_end(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |v: &reqwest::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    let mut kept: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !OWN.contains(&name.as_str()) && !name.as_str().starts_with(ENVOYS_OWN))
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    kept.sort();
    kept
}
