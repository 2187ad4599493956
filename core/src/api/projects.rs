use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiError, ApiState,
    body::Body,
    instances::mark_stale,
    list::{AsOf, List},
    path::Path,
    query::Query,
};
use crate::model::{InvalidName, Lane, Principal, Project, ProjectName, Spec, StageName};

/// A new project with its first stage.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    pub name: ProjectName,
    #[serde(default)]
    pub stage: StageName,
    pub spec: Spec,
}

/// What the next deploy of a stage will run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StageSpec {
    pub spec: Spec,
}

/// All projects.
#[utoipa::path(get, path = "/api/projects", tag = "projects", 
    responses((status = 200, body = List<Project>), (status = 400, body = super::Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    query: Query,
) -> Result<Json<List<Project>>, ApiError> {
    query.only(&[])?;
    let (mut items, as_of) = state
        .store
        .read(|reader| Ok((reader.projects()?, reader.head()?)))
        .await?;
    items
        .iter_mut()
        .for_each(|project| with_staleness(&state, project));
    Ok(Json(List {
        items,
        next: None,
        as_of,
    }))
}

/// Makes a project.
#[utoipa::path(post, path = "/api/projects", tag = "projects", request_body = NewProject,
    responses((status = 201, body = Project), (status = 409, body = super::Problem), (status = 422, body = super::Problem)))]
pub async fn create(
    State(state): State<ApiState>,
    Body(new): Body<NewProject>,
) -> Result<(StatusCode, Json<Project>), ApiError> {
    let NewProject { name, stage, spec } = new;
    let project = state
        .deploys
        .create_project(&Principal::Local, name, stage, spec)
        .await?;
    Ok((StatusCode::CREATED, Json(project)))
}

/// One project with its stages.
#[utoipa::path(get, path = "/api/projects/{project}", tag = "projects", params(("project" = String, Path)),
    responses((status = 200, body = AsOf<Project>), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<AsOf<Project>>, ApiError> {
    let wanted = project_name(&name)?;
    let (found, as_of) = state
        .store
        .read(move |reader| Ok((reader.project(&wanted)?, reader.head()?)))
        .await?;
    let mut item = found.ok_or_else(|| ApiError::not_found("project", &name))?;
    with_staleness(&state, &mut item);
    Ok(Json(AsOf { item, as_of }))
}

/// Replaces what the next deploy of a stage will run; makes the stage if it is new.
#[utoipa::path(put, path = "/api/projects/{project}/stages/{stage}", tag = "projects",
    params(("project" = String, Path), ("stage" = String, Path)), request_body = StageSpec,
    responses((status = 200, body = Project), (status = 404, body = super::Problem), (status = 422, body = super::Problem)))]
pub async fn update_stage(
    State(state): State<ApiState>,
    Path((project, stage)): Path<(String, String)>,
    Body(StageSpec { spec }): Body<StageSpec>,
) -> Result<Json<Project>, ApiError> {
    let lane = Lane {
        project: project_name(&project)?,
        stage: stage.parse()?,
    };
    Ok(Json(
        state
            .deploys
            .update_lane(&Principal::Local, lane, spec)
            .await?,
    ))
}

/// Forgets a project; with `stop=true` its instances are stopped and removed.
#[utoipa::path(delete, path = "/api/projects/{project}", tag = "projects",
    params(("project" = String, Path), ("stop" = Option<bool>, Query)),
    responses((status = 204), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn delete(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    query: Query,
) -> Result<StatusCode, ApiError> {
    query.only(&["stop"])?;
    let stop = query.parsed("stop", "`true` or `false`")?.unwrap_or(false);
    state
        .deploys
        .delete_project(&Principal::Local, project_name(&name)?, stop)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A name that could not be one names nothing.
pub fn project_name(name: &str) -> Result<ProjectName, ApiError> {
    name.parse()
        .map_err(|_| ApiError::not_found("project", name))
}

fn with_staleness(state: &ApiState, project: &mut Project) {
    for stage in &mut project.stages {
        mark_stale(state, &mut stage.instances);
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        Self::bad_request(error.to_string())
    }
}
