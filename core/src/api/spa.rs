//! The dashboard, embedded at build time with brotli and gzip beside each file.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::ApiError;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../web/build"]
#[allow_missing = true]
struct Assets;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

/// Every path that is no route of the API: a file, or the page itself.
pub async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if path == "/api" || path.starts_with("/api/") {
        return ApiError::not_found("path", path).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let name = path.trim_start_matches('/');
    if is_file(name) {
        return file(name, request.headers());
    }
    if name.starts_with("_app/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    if is_file("index.html") {
        return file("index.html", request.headers());
    }
    let hint = "the dashboard is not built into this binary: run `make build`\n";
    (StatusCode::NOT_FOUND, hint).into_response()
}

/// Compressed twins are served under the name of their original only.
fn is_file(name: &str) -> bool {
    !name.is_empty()
        && !name.ends_with(".br")
        && !name.ends_with(".gz")
        && Assets::get(name).is_some()
}

fn file(name: &str, request: &HeaderMap) -> Response {
    let Some((content, encoding)) = negotiate(name, request) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", hex::encode(&content.metadata.sha256_hash()[..16]));
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let unchanged = known.is_some_and(|known| known.contains(&etag) || known == "*");
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(content.data.into_owned()).into_response()
    };
    let headers = response.headers_mut();
    let immutable = name.starts_with("_app/immutable/");
    let caching = if immutable { IMMUTABLE } else { REVALIDATE };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    if let Ok(kind) = HeaderValue::from_str(content_type(name)) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn negotiate(name: &str, request: &HeaderMap) -> Option<(EmbeddedFile, Option<&'static str>)> {
    let accepted = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let wants = |encoding| {
        let mut offered = accepted
            .split(',')
            .map(|one| one.split(';').next().unwrap_or(one));
        offered.any(|one| one.trim() == encoding)
    };
    for (encoding, ending) in [("br", "br"), ("gzip", "gz")] {
        if wants(encoding)
            && let Some(content) = Assets::get(&format!("{name}.{ending}"))
        {
            return Some((content, Some(encoding)));
        }
    }
    Assets::get(name).map(|content| (content, None))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
