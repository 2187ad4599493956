use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    body::Body,
    list::{AsOf, List},
    path::Path,
    projects::project_name,
    query::Query,
};
use crate::{
    deploys::{IfBusy, Wish},
    model::{
        Deploy, DeployId, DeployPreview, DeployStatus, DeploySummary, Lane, Principal, StageName,
    },
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
    #[serde(default)]
    pub if_busy: IfBusy,
}

/// What to go back to.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRollback {
    #[serde(default)]
    pub stage: StageName,
    /// A deploy of this stage that succeeded; the one before the one that serves when
    /// absent.
    #[serde(default)]
    pub to: Option<DeployId>,
    #[serde(default)]
    pub if_busy: IfBusy,
}

/// Queues a deploy; it starts at once if none is under way on this stage. With
/// `dry_run`, says only what it would do now.
#[utoipa::path(post, path = "/api/projects/{project}/deploys", tag = "deploys",
    params(("project" = String, Path), ("dry_run" = Option<bool>, Query)), request_body = NewDeploy,
    responses((status = 202, body = Deploy), (status = 200, body = DeployPreview), (status = 409, body = super::Problem), (status = 404, body = super::Problem), (status = 422, body = super::Problem)))]
pub async fn create(
    State(state): State<ApiState>,
    Path(project): Path<String>,
    query: Query,
    Body(new): Body<NewDeploy>,
) -> Result<Response, ApiError> {
    query.only(&["dry_run"])?;
    let lane = Lane {
        project: project_name(&project)?,
        stage: new.stage,
    };
    if query.parsed("dry_run", "true or false")?.unwrap_or(false) {
        let preview = state.deploys.preview(lane, new.image).await?;
        return Ok(Json(preview).into_response());
    }
    let wish = Wish {
        lane,
        image: new.image,
        if_busy: new.if_busy,
    };
    let deploy = state.deploys.create_deploy(&Principal::Local, wish).await?;
    Ok((StatusCode::ACCEPTED, Json(deploy)).into_response())
}

/// Queues a deploy of what an earlier one ran: image and configuration, without a pull.
/// What an app has written is not rolled back.
#[utoipa::path(post, path = "/api/projects/{project}/rollback", tag = "deploys",
    params(("project" = String, Path)), request_body = NewRollback,
    responses((status = 202, body = Deploy), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn roll_back(
    State(state): State<ApiState>,
    Path(project): Path<String>,
    Body(NewRollback { stage, to, if_busy }): Body<NewRollback>,
) -> Result<(StatusCode, Json<Deploy>), ApiError> {
    let lane = Lane {
        project: project_name(&project)?,
        stage,
    };
    let deploy = state
        .deploys
        .roll_back(&Principal::Local, lane, to, if_busy)
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
