use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::{ApiError, ApiState};

const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The counters of all plugins, for Prometheus and those that read its text form.
#[utoipa::path(get, path = "/api/metrics", tag = "status",
    responses((status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain")))]
pub async fn get(State(state): State<ApiState>) -> Result<Response, ApiError> {
    let text = state.plugins.metrics().await?;
    Ok(([(header::CONTENT_TYPE, TYPE)], text).into_response())
}
