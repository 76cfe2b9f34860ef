//! Whether a side holds what was sent, asked as anybody would.

use peers::queries::instant;
use peers::until;
use serde_json::Value;

use crate::Result;
use crate::load::Load;
use crate::population::{Groups, metrics, sums};

/// Relative: additions in another order.
const TOLERANCE: f64 = 1e-12;

/// Asks a querier for counts and sums, and compares them with what was sent.
pub(crate) async fn answers(load: &Load, base: &str) -> Result<()> {
    let last = load.rounds - 1;
    let series = load.series.len() as f64;
    let everything = r#"count({__name__=~".+"})"#;
    // A querier looks for stores every few seconds.
    until("the querier has found the store", async || {
        match ask(base, everything, at(load, last)).await.map_err(|e| e.to_string())?.len() {
            0 => Err("nothing yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    for round in [0, last / 2, last] {
        expect(base, everything, at(load, round), &total(series)).await?;
    }
    for (metric, series) in metrics(&load.series) {
        let samples = series as f64 * load.rounds as f64;
        expect(base, &format!("sum(count_over_time({metric}[1h]))"), at(load, last), &total(samples)).await?;
        for round in [0, last / 2, last] {
            let query = format!("sum by (cluster, deployment) ({metric})");
            expect(base, &query, at(load, round), &sums(&load.series, metric, round)).await?;
        }
    }
    Ok(())
}

fn at(load: &Load, round: u64) -> f64 {
    (load.first_ms / 1000 + round as i64) as f64
}

fn total(value: f64) -> Groups {
    Groups::from([((String::new(), String::new()), value)])
}

async fn expect(base: &str, query: &str, at_s: f64, want: &Groups) -> Result<()> {
    let got = ask(base, query, at_s).await?;
    let close = |a: f64, b: f64| (a - b).abs() <= TOLERANCE * a.abs().max(b.abs());
    let same = got.len() == want.len() && got.iter().zip(want).all(|(g, w)| g.0 == w.0 && close(*g.1, *w.1));
    if same { Ok(()) } else { Err(format!("{base}: {query} at {at_s}: {got:?}, sent was {want:?}").into()) }
}

async fn ask(base: &str, query: &str, at_s: f64) -> Result<Groups> {
    let (status, body) = instant(base, query, at_s).await?;
    let wrong = || format!("{base}: {query}: {status} {body:.300}");
    if status != 200 || !body["warnings"].is_null() {
        return Err(wrong().into());
    }
    let result = body["data"]["result"].as_array().ok_or_else(wrong)?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let one = |v: &Value| -> Option<((String, String), f64)> {
        let labels = &v["metric"];
        Some(((text(&labels["cluster"]), text(&labels["deployment"])), text(&v["value"][1]).parse().ok()?))
    };
    Ok(result.iter().map(one).collect::<Option<Groups>>().ok_or_else(wrong)?)
}
