use axum::{Json, extract::State};

use super::{
    ApiError, ApiState,
    list::{AsOf, List},
    path::Path,
    query::Query,
};
use crate::{engine::EngineState, model::Instance};

/// All containers of the engine: of our projects, and others, which are only watched.
#[utoipa::path(get, path = "/api/instances", tag = "instances",
    params(
        ("project" = Option<String>, Query), ("stage" = Option<String>, Query),
        ("managed" = Option<bool>, Query, description = "Only ours, or only others")),
    responses((status = 200, body = List<Instance>)))]
pub async fn list(
    State(state): State<ApiState>,
    query: Query,
) -> Result<Json<List<Instance>>, ApiError> {
    query.only(&["project", "stage", "managed"])?;
    let managed = query.parsed::<bool>("managed", "`true` or `false`")?;
    let (mut items, as_of) = state
        .store
        .read(|reader| Ok((reader.instances()?, reader.head()?)))
        .await?;
    let (projects, stages) = (query.list("project"), query.list("stage"));
    let among = |names: &[String], name: Option<&str>| {
        names.is_empty() || name.is_some_and(|name| names.iter().any(|wanted| wanted == name))
    };
    items.retain(|instance| {
        managed.is_none_or(|managed| instance.managed == managed)
            && among(
                &projects,
                instance.project.as_ref().map(|name| name.as_str()),
            )
            && among(&stages, instance.stage.as_ref().map(|name| name.as_str()))
    });
    mark_stale(&state, &mut items);
    Ok(Json(List {
        items,
        next: None,
        as_of,
    }))
}

/// One container, by its id or name.
#[utoipa::path(get, path = "/api/instances/{id}", tag = "instances",
    params(("id" = String, Path, description = "Container id or name")),
    responses((status = 200, body = AsOf<Instance>), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<AsOf<Instance>>, ApiError> {
    let (all, as_of) = state
        .store
        .read(|reader| Ok((reader.instances()?, reader.head()?)))
        .await?;
    let found = all
        .into_iter()
        .find(|instance| instance.id == id || instance.name == id);
    let mut found = vec![found.ok_or_else(|| ApiError::not_found("instance", &id))?];
    mark_stale(&state, &mut found);
    let item = found
        .pop()
        .ok_or_else(|| ApiError::not_found("instance", &id))?;
    Ok(Json(AsOf { item, as_of }))
}

/// While the engine does not answer, what we show is only the last we knew.
pub fn mark_stale(state: &ApiState, instances: &mut [Instance]) {
    let stale = state.engine.connection().borrow().state != EngineState::Connected;
    for instance in instances {
        instance.stale = stale;
    }
}
