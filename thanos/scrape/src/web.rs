//! Own endpoints: what every process has, and `/api/v1/targets`.

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use crate::status::Board;

#[derive(Debug, Deserialize)]
struct TargetsQuery {
    state: Option<String>,
    #[serde(rename = "scrapePool")]
    scrape_pool: Option<String>,
}

/// The API over a board.
pub fn router(board: Board) -> Router {
    Router::new().route("/api/v1/targets", get(targets)).with_state(board)
}

async fn targets(State(board): State<Board>, Query(query): Query<TargetsQuery>) -> Json<serde_json::Value> {
    Json(board.targets_json(query.state.as_deref(), query.scrape_pool.as_deref()))
}
