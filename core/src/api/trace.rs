use axum::{Json, extract::State};

use super::{ApiError, ApiState, path::Path};
use crate::model::{EventId, Trace};

/// Which pipelines and plugins saw an event, what they said of it, and where it
/// was sent. Traces are kept for a day.
#[utoipa::path(get, path = "/api/events/{id}/trace", tag = "events", params(("id" = i64, Path)),
    responses((status = 200, body = Trace), (status = 404, body = super::Problem)))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<i64>,
) -> Result<Json<Trace>, ApiError> {
    let event = EventId(id);
    let found = state.store.read(move |reader| {
        if reader.event(event)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Trace {
            event,
            pipelines: reader.traces(event)?,
            deliveries: reader.deliveries_of(event)?,
        }))
    });
    let trace = found.await?;
    trace
        .map(Json)
        .ok_or_else(|| ApiError::not_found("event", id))
}
