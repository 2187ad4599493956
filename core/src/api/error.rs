use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::security_headers;
use crate::{
    deploys::DeployError, engine::EngineError, model::SpecError, plugin_host::HostError,
    store::StoreError,
};

pub const MEDIA_TYPE: &str = "application/problem+json";

/// An error as clients see it: RFC 9457 `application/problem+json`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// What is wrong, and the remedy.
    pub detail: String,
    /// Stable word for programs, e.g. `not_found`.
    pub code: String,
    /// Which fields are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// JSON pointer, e.g. `/spec/image`.
    pub field: String,
    pub message: String,
}

/// The one place that turns errors into HTTP.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldProblem>,
    retry_after_s: Option<u32>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
        }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn not_found(kind: &str, name: impl std::fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{kind} `{name}` does not exist"),
        )
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub fn method_not_allowed(method: &Method, path: &str) -> Self {
        let detail = format!("`{path}` has no {method}: `Allow` names what it has");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub fn busy(detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        Self {
            retry_after_s: Some(1),
            ..error
        }
    }

    /// One client has more than its share.
    pub fn too_many(detail: impl Into<String>) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail);
        Self {
            retry_after_s: Some(5),
            ..error
        }
    }

    pub fn invalid(errors: Vec<FieldProblem>) -> Self {
        let fields: Vec<String> = errors
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect();
        let error = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            fields.join("; "),
        );
        Self { errors, ..error }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            detail,
            errors,
            retry_after_s,
        } = self;
        if status.is_server_error() {
            tracing::warn!(%status, code, detail, "a request could not be served");
        }
        let problem = Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail,
            code: code.into(),
            errors,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        security_headers::add(headers);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Busy | StoreError::DiskFull | StoreError::Closed => Self::busy(detail),
            StoreError::EventTooLarge(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            }
            StoreError::NewerSchema { .. }
            | StoreError::Corrupt(_)
            | StoreError::Damaged(_)
            | StoreError::Failed(_)
            | StoreError::Sqlite(_)
            | StoreError::Panicked => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", detail),
        }
    }
}

impl From<DeployError> for ApiError {
    fn from(error: DeployError) -> Self {
        let detail = error.to_string();
        match error {
            DeployError::NotFound { kind, name } => Self::not_found(kind, name),
            DeployError::NameTaken(_) => {
                let field = FieldProblem {
                    field: "/name".into(),
                    message: detail.clone(),
                };
                Self {
                    errors: vec![field],
                    ..Self::conflict(detail)
                }
            }
            DeployError::Conflict(detail) => Self::conflict(detail),
            DeployError::Invalid(problems) => {
                let field = |problem: SpecError| FieldProblem {
                    field: format!("/spec{}", problem.field),
                    message: problem.message,
                };
                Self::invalid(problems.into_iter().map(field).collect())
            }
            DeployError::Engine(error) => error.into(),
            DeployError::Store(error) => error.into(),
        }
    }
}

impl From<HostError> for ApiError {
    fn from(error: HostError) -> Self {
        let detail = error.to_string();
        match error {
            HostError::NotFound { kind, name } => Self::not_found(kind, name),
            HostError::NothingToTry { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            HostError::NotASink(_)
            | HostError::Conflict(_)
            | HostError::SecretInUse { .. }
            | HostError::Grant(_) => Self::conflict(detail),
            HostError::Invalid { field, message } => Self::invalid(vec![FieldProblem {
                field: format!("/{field}"),
                message,
            }]),
            HostError::Busy(_) => Self::busy(detail),
            HostError::Store(error) => error.into(),
            HostError::Folder { .. } | HostError::Sandbox(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "plugins", detail)
            }
        }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Absent { .. } => Self::busy(detail),
            EngineError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            EngineError::Conflict { .. } | EngineError::PortInUse { .. } => Self::conflict(detail),
            EngineError::Timeout { .. } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, "engine_timeout", detail)
            }
            EngineError::Refused { .. } => Self::new(StatusCode::BAD_GATEWAY, "engine", detail),
        }
    }
}
