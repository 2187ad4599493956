use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    ApiError, ApiState, FieldProblem,
    body::Body,
    list::{AsOf, List},
    path::Path,
};
use crate::model::{Principal, Secret, SecretName};

const VALUE_BYTES_MAX: usize = 64 << 10;

/// The value of a secret: it goes in, and never out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretInput {
    #[schema(min_length = 1, write_only)]
    value: String,
}

/// Secrets of the sealed store, and those that plugins look for there. Never a value.
#[utoipa::path(get, path = "/api/secrets", tag = "secrets", responses((status = 200, body = List<Secret>)))]
pub async fn list(State(state): State<ApiState>) -> Result<Json<List<Secret>>, ApiError> {
    let (items, as_of) = state.plugins.secrets().await?;
    Ok(Json(List {
        items,
        next: None,
        as_of,
    }))
}

/// Sets a secret, or gives it another value. Plugins that use it have it from their
/// next call on.
#[utoipa::path(put, path = "/api/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    request_body = SecretInput,
    responses((status = 200, body = AsOf<Secret>), (status = 422, body = super::Problem)))]
pub async fn put(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Body(SecretInput { value }): Body<SecretInput>,
) -> Result<Json<AsOf<Secret>>, ApiError> {
    let name: SecretName = name.parse().map_err(|error| invalid("/name", &error))?;
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        let expected = format!("expected 1 to {VALUE_BYTES_MAX} bytes");
        return Err(invalid("/value", &expected));
    }
    let item = state
        .plugins
        .put_secret(&Principal::Local, name, &value)
        .await?;
    let as_of = state.bus.head();
    Ok(Json(AsOf { item, as_of }))
}

/// Removes a secret; refused while a plugin's configuration names it.
#[utoipa::path(delete, path = "/api/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    responses((status = 204), (status = 404, body = super::Problem), (status = 409, body = super::Problem)))]
pub async fn delete(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let parsed = name.parse();
    let parsed = parsed.map_err(|_| ApiError::not_found("secret", &name))?;
    state
        .plugins
        .remove_secret(&Principal::Local, parsed)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn invalid(field: &str, problem: &impl ToString) -> ApiError {
    ApiError::invalid(vec![FieldProblem {
        field: field.to_owned(),
        message: problem.to_string(),
    }])
}
