use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    body::Body,
    list::{AsOf, List},
    path::Path,
};
use crate::model::{GrantedNow, Plugin, Principal, Replayed, TestOutcome};

/// Plugins, files that wait for their configuration, and broken configuration.
#[utoipa::path(get, path = "/api/plugins", tag = "plugins",
    responses((status = 200, body = List<Plugin>)))]
pub async fn list(State(state): State<ApiState>) -> Result<Json<List<Plugin>>, ApiError> {
    let (items, as_of) = state.plugins.plugins().await?;
    Ok(Json(List {
        items,
        next: None,
        as_of,
    }))
}

/// One plugin; a file that nothing uses goes by its file name.
#[utoipa::path(get, path = "/api/plugins/{name}", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = AsOf<Plugin>), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<AsOf<Plugin>>, ApiError> {
    let (item, as_of) = state.plugins.plugin(&name).await?;
    Ok(Json(AsOf { item, as_of }))
}

/// Sends a test message through a sink and says what the target answered.
#[utoipa::path(post, path = "/api/plugins/{name}/test", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = TestOutcome), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn test(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<TestOutcome>, ApiError> {
    Ok(Json(state.plugins.test(&Principal::Local, &name).await?))
}

/// Tries the dead letters of a sink again, the oldest first, under their old ids, as many as
/// its queue has room for.
#[utoipa::path(post, path = "/api/plugins/{name}/replay", tag = "plugins", params(("name" = String, Path)),
    responses((status = 202, body = Replayed), (status = 404, body = super::Problem)))]
pub async fn replay(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Replayed>), ApiError> {
    let replayed = state.plugins.replay_all(&Principal::Local, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(replayed)))
}

/// A wish to grant what a plugin asks for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Grant {
    /// Its `missing_grants` as they were looked at: nothing is granted if they are others
    /// by now.
    pub seen: Option<Vec<String>>,
}

/// Grants a plugin what it asks for, by adding it to the file that configures it: origins,
/// and secrets that are in the sealed store under the same name.
#[utoipa::path(post, path = "/api/plugins/{name}/grant", tag = "plugins", params(("name" = String, Path)),
    request_body = Grant,
    responses((status = 202, body = GrantedNow), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn grant(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Body(grant): Body<Grant>,
) -> Result<(StatusCode, Json<GrantedNow>), ApiError> {
    let seen = grant.seen.as_deref();
    let granted = state.plugins.grant(&Principal::Local, &name, seen).await?;
    Ok((StatusCode::ACCEPTED, Json(granted)))
}

/// Asks a quarantined plugin again at once, instead of when its rest is over.
#[utoipa::path(post, path = "/api/plugins/{name}/resume", tag = "plugins", params(("name" = String, Path)),
    responses((status = 200, body = AsOf<Plugin>), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn resume(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<AsOf<Plugin>>, ApiError> {
    state.plugins.resume(&Principal::Local, &name)?;
    let (item, as_of) = state.plugins.plugin(&name).await?;
    Ok(Json(AsOf { item, as_of }))
}
