use axum::{
    extract::Request,
    http::{StatusCode, header::ALLOW},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::ApiError;

/// Says which methods a path has. axum answers one that it has not with `Allow` alone.
pub async fn name_allowed(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    match response.headers().get(ALLOW) {
        Some(allow) if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::method_not_allowed(&method, &path, allow.clone()).into_response()
        }
        Some(_) | None => response,
    }
}
