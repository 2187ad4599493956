use axum::{
    extract::{self, FromRequestParts, MatchedPath, path::ErrorKind, rejection::PathRejection},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::ApiError;

/// What a path names; what cannot be one is said with the route that it is for.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(named)) => Ok(Self(named)),
            Err(rejection) => Err(refusal(parts, rejection)),
        }
    }
}

fn refusal(parts: &Parts, rejection: PathRejection) -> ApiError {
    let route = parts.extensions.get::<MatchedPath>();
    let route = route.map_or(parts.uri.path(), MatchedPath::as_str);
    let wrong = match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => match failed.into_kind() {
            ErrorKind::ParseError { value, .. }
            | ErrorKind::ParseErrorAtIndex { value, .. }
            | ErrorKind::ParseErrorAtKey { value, .. } => {
                format!("`{value}` is not a number of 64 bits, as it has to be")
            }
            ErrorKind::InvalidUtf8InPathParam { key } => {
                format!("`{key}` is not UTF-8, percent-encoded")
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    ApiError::bad_request(format!("path `{route}`: {wrong}"))
}
