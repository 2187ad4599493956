use axum::{Json, extract::State};

use super::{ApiError, ApiState, list::List};
use crate::model::Pipeline;

/// Pipelines: how far each has come, and what it dropped of late.
#[utoipa::path(get, path = "/api/pipelines", tag = "plugins",
    responses((status = 200, body = List<Pipeline>)))]
pub async fn list(State(state): State<ApiState>) -> Result<Json<List<Pipeline>>, ApiError> {
    let (items, as_of) = state.plugins.pipelines().await?;
    Ok(Json(List {
        items,
        next: None,
        as_of,
    }))
}
