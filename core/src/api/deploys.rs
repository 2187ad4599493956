use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    body::Body,
    list::{AsOf, List},
    projects::project_name,
    query::Query,
};
use crate::{
    model::{Deploy, DeployId, DeployStatus, DeploySummary, Lane, Principal, StageName},
    store::DeployQuery,
};

/// A deploy to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeploy {
    #[serde(default)]
    pub stage: StageName,
    /// Instead of the stage's own image, and from then on if it succeeds.
    #[serde(default)]
    pub image: Option<String>,
}

/// Queues a deploy; it starts at once if none is under way on this stage.
#[utoipa::path(post, path = "/api/projects/{project}/deploys", tag = "deploys",
    params(("project" = String, Path)), request_body = NewDeploy,
    responses((status = 202, body = Deploy), (status = 404, body = super::Problem), (status = 422, body = super::Problem)))]
pub async fn create(
    State(state): State<ApiState>,
    Path(project): Path<String>,
    Body(NewDeploy { stage, image }): Body<NewDeploy>,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    let lane = Lane {
        project: project_name(&project)?,
        stage,
    };
    let deploy = state
        .deploys
        .create_deploy(&Principal::Local, lane, image)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(deploy)))
}

/// Deploys, newest first.
#[utoipa::path(get, path = "/api/deploys", tag = "deploys",
    params(
        ("project" = Option<String>, Query), ("stage" = Option<String>, Query),
        ("status" = Option<String>, Query, description = "Statuses, comma-separated"),
        ("cursor" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = List<DeploySummary>)))]
pub async fn list(
    State(state): State<ApiState>,
    query: Query,
) -> Result<Json<List<DeploySummary>>, ApiError> {
    query.only(&["project", "stage", "status", "cursor", "limit"])?;
    let limit = query.limit()?;
    let wanted = DeployQuery {
        projects: query.list("project"),
        stages: query.list("stage"),
        statuses: query.each(
            "status",
            DeployStatus::parse,
            &DeployStatus::ALL.map(DeployStatus::as_str),
        )?,
        before: query
            .parsed::<i64>("cursor", "the cursor of a page")?
            .map(DeployId),
        limit,
    };
    let (items, as_of) = state
        .store
        .read(move |reader| Ok((reader.deploys(&wanted)?, reader.head()?)))
        .await?;
    let next = items
        .last()
        .filter(|_| items.len() == limit)
        .map(|last| last.id.to_string());
    Ok(Json(List { items, next, as_of }))
}

/// One deploy with its plan, steps, and why it failed.
#[utoipa::path(get, path = "/api/deploys/{id}", tag = "deploys", params(("id" = i64, Path)),
    responses((status = 200, body = AsOf<Deploy>), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
) -> Result<Json<AsOf<Deploy>>, ApiError> {
    let (found, as_of) = state
        .store
        .read(move |reader| Ok((reader.deploy(DeployId(id))?, reader.head()?)))
        .await?;
    let item = found.ok_or_else(|| ApiError::not_found("deploy", id))?;
    Ok(Json(AsOf { item, as_of }))
}

/// Cancels a deploy that has not ended.
#[utoipa::path(post, path = "/api/deploys/{id}/cancel", tag = "deploys", params(("id" = i64, Path)),
    responses((status = 202, body = Deploy), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn cancel(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    let deploy = state
        .deploys
        .cancel(&Principal::Local, DeployId(id))
        .await?;
    Ok((StatusCode::ACCEPTED, Json(deploy)))
}
