use axum::{Json, extract::State, http::StatusCode};

use super::{ApiError, ApiState, list::List, path::Path, query::Query};
use crate::{
    model::{Delivery, DeliveryDetail, DeliveryState, Principal},
    store::DeliveryQuery,
};

/// Deliveries, newest first.
#[utoipa::path(get, path = "/api/deliveries", tag = "plugins",
    params(
        ("sink" = Option<String>, Query), ("pipeline" = Option<String>, Query),
        ("status" = Option<String>, Query, description = "Statuses, comma-separated"),
        ("cursor" = Option<String>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = List<Delivery>)))]
pub async fn list(
    State(state): State<ApiState>,
    query: Query,
) -> Result<Json<List<Delivery>>, ApiError> {
    query.only(&["sink", "pipeline", "status", "cursor", "limit"])?;
    let wanted = DeliveryQuery {
        sinks: query.list("sink"),
        pipelines: query.list("pipeline"),
        statuses: query.each(
            "status",
            DeliveryState::parse,
            &DeliveryState::ALL.map(DeliveryState::as_str),
        )?,
        before: query.parsed::<i64>("cursor", "the cursor of a page")?,
        limit: query.limit()?,
    };
    let ((items, next), as_of) = state
        .store
        .read(move |reader| Ok((reader.deliveries(&wanted)?, reader.head()?)))
        .await?;
    Ok(Json(List {
        items,
        next: next.map(|position| position.to_string()),
        as_of,
    }))
}

/// One delivery with every attempt.
#[utoipa::path(get, path = "/api/deliveries/{id}", tag = "plugins", params(("id" = String, Path)),
    responses((status = 200, body = DeliveryDetail), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryDetail>, ApiError> {
    let wanted = id.clone();
    let found = state
        .store
        .read(move |reader| reader.delivery_detail(&wanted))
        .await?;
    found
        .map(Json)
        .ok_or_else(|| ApiError::not_found("delivery", id))
}

/// Tries a dead letter again, under its old id.
#[utoipa::path(post, path = "/api/deliveries/{id}/replay", tag = "plugins", params(("id" = String, Path)),
    responses((status = 202, body = Delivery), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn replay(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Delivery>), ApiError> {
    let delivery = state.plugins.replay(&Principal::Local, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}
