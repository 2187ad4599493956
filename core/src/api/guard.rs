//! Who may ask at all, as long as there is no sign-in: requests that name this
//! machine (against DNS rebinding), and writes that no other site can make a
//! browser send (against CSRF).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::ApiError;

/// Host names that requests may use besides the loopback ones.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    pub fn new(names: &[String]) -> Self {
        Self(names.into())
    }

    fn contains(&self, host: &str) -> bool {
        let name = without_port(host);
        matches!(name, "localhost" | "127.0.0.1" | "[::1]")
            || self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

pub async fn guard(State(hosts): State<AllowedHosts>, request: Request, next: Next) -> Response {
    match check(
        &hosts,
        request.method(),
        request.uri().authority().map(Authority::as_str),
        request.headers(),
    ) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(
    hosts: &AllowedHosts,
    method: &Method,
    authority: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // HTTP/2 has it in the place of `Host`, with the port.
    let host = text(header::HOST).or(authority).unwrap_or_default();
    if !hosts.contains(host) {
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host",
            format!(
                "host `{host}` is not served here: add its name to `hosts` in the configuration"
            ),
        ));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    if headers.contains_key(header::ORIGIN) && !same_origin(text(header::ORIGIN), host) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "origin",
            "this request comes from another site: send it from the dashboard, or without an Origin",
        ));
    }
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            "a request that changes something needs `Content-Type: application/json`",
        ));
    }
    Ok(())
}

fn same_origin(origin: Option<&str>, host: &str) -> bool {
    let authority = origin.and_then(|origin| {
        origin
            .strip_prefix("http://")
            .or(origin.strip_prefix("https://"))
    });
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(authority: &str, origin: &str) -> Result<(), ApiError> {
        let hosts = AllowedHosts::new(&["forge.lan".to_owned()]);
        let headers = [
            (header::ORIGIN, origin),
            (header::CONTENT_TYPE, "application/json"),
        ];
        let headers = headers.map(|(name, value)| (name, value.parse().expect("a value")));
        let headers = HeaderMap::from_iter(headers);
        check(&hosts, &Method::POST, Some(authority), &headers)
    }

    #[test]
    fn over_http_2_the_port_counts_as_it_does_in_host() {
        assert!(written("forge.lan:8443", "https://forge.lan:8443").is_ok());
        assert!(written("forge.lan", "https://forge.lan").is_ok());
        assert!(written("forge.lan:8443", "https://forge.lan").is_err());
        assert!(written("forge.lan:8443", "https://other.lan:8443").is_err());
    }
}
