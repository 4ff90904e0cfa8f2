//! `GET /metrics`

use crate::metrics::CONTENT_TYPE;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// A scrape must come to its end while the database does not answer: that is when it is looked at.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(5);

/// What this process counts, and what is queued for all teams, for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "system",
    responses((status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
        (status = 401, description = "`operator.metrics_token_file` is set, and this is not its token.", body = ProblemBody)))]
pub async fn show_metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let reading = async {
        let counts = state.store().figures().await?;
        let details = state.store().detailed_figures(state.metrics_tasks()).await?;
        Ok::<_, holdfast_store::StoreError>((counts, details))
    };
    let figures = match tokio::time::timeout(DATABASE_TIMEOUT, reading).await {
        Ok(Ok(figures)) => Some(figures),
        Ok(Err(error)) => {
            tracing::warn!(%error, "metrics without the database's figures");
            None
        }
        Err(_) => None,
    };
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], state.metrics().text(figures.as_ref())?).into_response())
}
