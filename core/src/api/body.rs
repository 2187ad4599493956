use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use super::{ApiError, FieldProblem};

const BODY_BYTES_MAX: usize = 1 << 20;

/// A JSON body of so many bytes at most; what is wrong with it is said with its
/// place.
pub struct Body<T, const BYTES_MAX: usize = BODY_BYTES_MAX>(pub T);

impl<T: DeserializeOwned, S: Sync, const BYTES_MAX: usize> FromRequest<S> for Body<T, BYTES_MAX> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = to_bytes(request.into_body(), BYTES_MAX)
            .await
            .map_err(|error| unread(&error, BYTES_MAX))?;
        let bytes = if bytes.is_empty() {
            b"{}".as_slice()
        } else {
            &bytes
        };
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let invalid = |field: String, error: &serde_json::Error| {
            let message = without_position(&error.to_string());
            ApiError::invalid(vec![FieldProblem { field, message }])
        };
        let value = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| invalid(pointer(error.path()), error.inner()))?;
        // Nothing follows it that would go unread.
        json.end().map_err(|error| invalid(String::new(), &error))?;
        Ok(Self(value))
    }
}

fn unread(error: &axum::Error, bytes_max: usize) -> ApiError {
    let cause = std::error::Error::source(error);
    if cause.is_some_and(|cause| cause.is::<LengthLimitError>()) {
        let detail = format!(
            "the body is larger than the {} MiB allowed",
            bytes_max >> 20
        );
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
    }
    ApiError::bad_request(format!("the body broke off, send it again: {error}"))
}

/// `/spec/ports/0/host`; empty for the whole.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(format!("/{key}")),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    segments.collect()
}

/// The field says where; a column in a body that nobody sees does not help.
fn without_position(message: &str) -> String {
    let position = message.rfind(" at line ");
    position.map_or(message, |at| &message[..at]).to_owned()
}
