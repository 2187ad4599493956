//! The dashboard: every path that is no route of the API.

mod files;

use axum::{
    extract::Request,
    http::{Method, StatusCode, header::ALLOW},
    response::{IntoResponse, Response},
};

use super::{ApiError, security_headers};
use files::Files;

/// A file, or the page itself.
pub async fn serve(request: Request) -> Response {
    let files = Files::embedded();
    match files.get(request.uri().path()) {
        Some(file) if is_read(request.method()) => file.response(request.headers()),
        Some(_) | None => elsewhere(files, &request),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn elsewhere(files: &Files, request: &Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let mut response = if path == "/api" || path.starts_with("/api/") {
        ApiError::not_found("path", path).into_response()
    } else if !is_read(method) {
        let refusal = ApiError::method_not_allowed(method, path);
        ([(ALLOW, "GET,HEAD")], refusal).into_response()
    } else if path.starts_with("/_app/") {
        StatusCode::NOT_FOUND.into_response()
    } else if let Some(page) = files.get("/index.html") {
        return page.response(request.headers());
    } else {
        let hint = "the dashboard is not built into this binary: run `make build`\n";
        (StatusCode::NOT_FOUND, hint).into_response()
    };
    security_headers::add(response.headers_mut());
    response
}
