use std::time::Duration;

use eventsource_stream::{Event as Frame, Eventsource};
use futures_util::{Stream, StreamExt};
use reqwest::{Method, RequestBuilder, Response, header};
use serde::{Serialize, de::DeserializeOwned};

use crate::api::Problem;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "the server at {server} cannot be reached ({reason}): is `tiny-forge serve` running? another address goes with --server"
    )]
    Unreachable { server: String, reason: String },
    /// The server's own words.
    #[error("{detail}")]
    Refused {
        status: u16,
        detail: String,
        /// After which it may be otherwise, if the server says so.
        retry_after: Option<Duration>,
    },
    #[error("the server's answer broke off or cannot be read: {0}")]
    Broken(String),
}

/// A client of a running server's API.
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
}

impl Client {
    pub(super) fn new(server: String) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .build()
            .expect("a client without special options can be built");
        Self { http, server }
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self
            .request(Method::GET, path)
            .header(header::ACCEPT, "application/json");
        read(self.send(request.timeout(ANSWER_TIMEOUT)).await?).await
    }

    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.write_within(ANSWER_TIMEOUT, method, path, body).await
    }

    /// For what takes its time.
    pub(super) async fn write_within<T: DeserializeOwned>(
        &self,
        timeout: Duration,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.request(method, path).json(body);
        read(self.send(request.timeout(timeout)).await?).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), ClientError> {
        let nothing = serde_json::Map::new();
        let request = self.request(Method::DELETE, path).json(&nothing);
        self.send(request.timeout(ANSWER_TIMEOUT)).await?;
        Ok(())
    }

    /// The frames of an event stream until the server ends it.
    pub(super) async fn stream(
        &self,
        path: &str,
        after: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Frame, ClientError>> + use<>, ClientError> {
        let mut request = self
            .request(Method::GET, path)
            .header(header::ACCEPT, "text/event-stream");
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = self.send(request).await?;
        let frames = response.bytes_stream().eventsource();
        Ok(frames.map(|frame| frame.map_err(|error| ClientError::Broken(error.to_string()))))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.server))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request
            .send()
            .await
            .map_err(|error| ClientError::Unreachable {
                server: self.server.clone(),
                reason: reason(&error),
            })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let problem = response.json::<Problem>().await;
        let detail =
            problem.map_or_else(|_| format!("the server answered {status}"), |it| it.detail);
        Err(ClientError::Refused {
            status: status.as_u16(),
            detail,
            retry_after,
        })
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    response
        .json()
        .await
        .map_err(|error| ClientError::Broken(error.to_string()))
}

/// The innermost cause: `connection refused`, not the layers above it.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
