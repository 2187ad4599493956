use axum::{Json, extract::State};

use super::{ApiError, ApiState, body::Body, path::Path};
use crate::{
    model::{DryRun, DryRunRequest, Principal},
    plugin_host::Tried,
};

/// A plugin of the largest size, in base64.
const BODY_BYTES_MAX: usize = 96 << 20;

type Request = Body<DryRunRequest, BODY_BYTES_MAX>;

/// Tries a plugin on past events, without sending: what it would have dropped,
/// added and sent, beside what really happened. Also one that is not installed.
#[utoipa::path(post, path = "/api/plugins/{name}/dry-run", tag = "plugins", params(("name" = String, Path)),
    request_body = DryRunRequest,
    responses((status = 200, body = DryRun), (status = 404, body = super::Problem), (status = 409, body = super::Problem), (status = 422, body = super::Problem)))]
pub async fn plugin(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Body(request): Request,
) -> Result<Json<DryRun>, ApiError> {
    run(&state, Tried::Plugin(name), request).await
}

/// Tries a whole pipeline on past events, without sending.
#[utoipa::path(post, path = "/api/pipelines/{name}/dry-run", tag = "plugins", params(("name" = String, Path)),
    request_body = DryRunRequest,
    responses((status = 200, body = DryRun), (status = 404, body = super::Problem), (status = 409, body = super::Problem), (status = 422, body = super::Problem)))]
pub async fn pipeline(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Body(request): Request,
) -> Result<Json<DryRun>, ApiError> {
    run(&state, Tried::Pipeline(name), request).await
}

async fn run(
    state: &ApiState,
    tried: Tried,
    request: DryRunRequest,
) -> Result<Json<DryRun>, ApiError> {
    let run = state.plugins.dry_run(&Principal::Local, tried, request);
    Ok(Json(run.await?))
}
