//! `/labels`, `/label/<name>/values` and `/series`.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use thanos_model::Labels;
use thanos_promql::source::{SelectHints, SelectRequest, SourceError};
use tokio::time::timeout_at;

use super::{Api, Call, TRUNCATED, ok};
use crate::error::{ApiError, Kind};
use crate::json;
use crate::params::Params;

/// `GET|POST /api/v1/labels`
pub(super) async fn label_names(State(api): State<Api>, params: Params) -> Result<Response, ApiError> {
    let ((start, end), limit, mut sets) = (params.range()?, params.limit()?, params.matchers()?);
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let call = api.call(&params)?;
    let _slot = api.gate.enter(call.deadline).await?;
    let mut found = Found::default();
    for matchers in &sets {
        found.add(within(&call, call.source.label_names(matchers, start, end)).await?);
    }
    Ok(found.respond(limit))
}

/// `GET /api/v1/label/<name>/values`
pub(super) async fn label_values(
    State(api): State<Api>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    if name.is_empty() {
        return Err(ApiError::new(Kind::BadData, "invalid label name: \"\""));
    }
    let ((start, end), limit, mut sets) = (params.range()?, params.limit()?, params.matchers()?);
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let call = api.call(&params)?;
    let _slot = api.gate.enter(call.deadline).await?;
    let mut found = Found::default();
    for matchers in &sets {
        found.add(within(&call, call.source.label_values(&name, matchers, start, end)).await?);
    }
    Ok(found.respond(limit))
}

/// `GET|POST /api/v1/series`
pub(super) async fn series(State(api): State<Api>, params: Params) -> Result<Response, ApiError> {
    let ((start_ms, end_ms), limit, sets) = (params.range()?, params.limit()?, params.matchers()?);
    if sets.is_empty() {
        return Err(ApiError::new(Kind::BadData, "no match[] parameter provided"));
    }
    let call = api.call(&params)?;
    let _slot = api.gate.enter(call.deadline).await?;
    let (mut all, mut warnings): (BTreeSet<Labels>, BTreeSet<String>) = Default::default();
    for matchers in sets {
        let request = SelectRequest {
            matchers,
            start_ms,
            end_ms,
            hints: SelectHints { func: "series".into(), skip_samples: true, ..SelectHints::default() },
            budget: call.budget.clone(),
        };
        let set = within(&call, call.source.select(request)).await?;
        all.extend(set.series.into_iter().map(|s| s.labels));
        warnings.extend(set.warnings);
    }
    let shown = all.len().min(if limit == 0 { usize::MAX } else { limit });
    if shown < all.len() {
        warnings.insert(TRUNCATED.into());
    }
    Ok(ok(json::success(&json::label_sets(all.iter().take(shown)), &warnings, &BTreeSet::new())))
}

async fn within<T>(call: &Call, work: impl Future<Output = Result<T, SourceError>>) -> Result<T, ApiError> {
    match timeout_at(call.deadline, work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ApiError::new(Kind::Timeout, "query timed out in series retrieval")),
    }
}

/// What several matcher sets found together.
#[derive(Default)]
struct Found {
    texts: BTreeSet<String>,
    warnings: BTreeSet<String>,
}

impl Found {
    fn add(&mut self, (texts, warnings): (BTreeSet<String>, Vec<String>)) {
        self.texts.extend(texts);
        self.warnings.extend(warnings);
    }

    fn respond(mut self, limit: usize) -> Response {
        let shown = self.texts.len().min(if limit == 0 { usize::MAX } else { limit });
        if shown < self.texts.len() {
            self.warnings.insert(TRUNCATED.into());
        }
        ok(json::success(&json::strings(self.texts.iter().take(shown)), &self.warnings, &BTreeSet::new()))
    }
}
