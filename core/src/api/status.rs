use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, ApiState};
use crate::{
    engine::Connection,
    events::Filter,
    model::{EventId, Position, Timestamp},
};

/// How the server is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Status {
    pub version: String,
    pub started_at: Timestamp,
    pub engine: Connection,
    pub journal: JournalStatus,
    /// Where plugins and their configuration are put.
    pub plugins_folder: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    pub as_of: Position,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct JournalStatus {
    pub name: String,
    pub head: EventId,
    /// From this event on, nothing has been deleted.
    pub oldest: EventId,
    /// What was found to be damaged in the database: bring back a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// The server, its engine, its journal.
#[utoipa::path(get, path = "/api/status", tag = "status", responses((status = 200, body = Status)))]
pub async fn get(State(state): State<ApiState>) -> Result<Json<Status>, ApiError> {
    let (head, floor) = state
        .store
        .read(|reader| Ok((reader.head()?, reader.floor(&Filter::everything())?)))
        .await?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: state.0.started_at,
        engine: state.engine.connection().borrow().clone(),
        journal: JournalStatus {
            name: head.journal.clone(),
            head: head.id,
            oldest: EventId(floor.0 + 1),
            damage: state.store.damage().map(str::to_owned),
        },
        plugins_folder: state.plugins.folder().display().to_string(),
        public_url: state.public_url.clone(),
        as_of: head,
    }))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "status", responses((status = 200, description = "it answers")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server can do its work: the store answers and it is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "status",
    responses((status = 200, description = "ready"), (status = 503, description = "not now")))]
pub async fn readyz(State(state): State<ApiState>) -> (StatusCode, String) {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into());
    }
    match state.store.read(|reader| reader.head()).await {
        Ok(_) => (StatusCode::OK, "ready\n".into()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}
