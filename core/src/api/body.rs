use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use serde::de::DeserializeOwned;

use super::ApiError;

const BODY_BYTES_MAX: usize = 1 << 20;

/// A JSON body; what is wrong with it is said with its place.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| {
                let detail = "the body is larger than 1 MiB, or broke off";
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            })?;
        let bytes = if bytes.is_empty() {
            b"{}".as_slice()
        } else {
            &bytes
        };
        serde_json::from_slice(bytes).map(Self).map_err(|error| {
            ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                format!("the body is not what is expected here: {error}"),
            )
        })
    }
}
