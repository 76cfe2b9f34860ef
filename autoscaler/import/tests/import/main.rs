//! What comes out of an import, what is told, and what may not happen on any input.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cases;
mod golden;
mod properties;

use autoscaler_api::Mode;
use autoscaler_import::{Import, Options, QueryFacts, import};

/// Takes for PromQL what our engine takes.
fn judge(query: &str) -> Result<QueryFacts, String> {
    let plan = thanos_promql::parse(query).map_err(|e| e.to_string())?;
    Ok(QueryFacts { shortest_range_ms: plan.selectors().iter().filter_map(|s| s.range_ms).min() })
}

fn options() -> Options<'static> {
    Options {
        mode: Mode::Shadow,
        compatibility: None,
        takeover: false,
        take_suggestions: false,
        judge: &judge,
    }
}

fn read(text: &str, options: Options<'_>) -> Result<Import, String> {
    import(&[("in.yaml".to_owned(), text.to_owned())], options)
}
