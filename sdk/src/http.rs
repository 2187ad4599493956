//! HTTP to the origins that the operator granted. Redirects are never followed.
//!
//! `{secret:NAME}` in the path, query, a header value or the body is replaced by
//! the host: the plugin never sees the value. In text that comes from events or from
//! a target's answer the host has made such placeholders harmless.
//!
//! ```no_run
//! use tiny_forge_plugin::http::Request;
//!
//! # fn main() -> Result<(), tiny_forge_plugin::http::Error> {
//! let response = Request::post("https://ntfy.sh/deploys")
//!     .header("Authorization", "Bearer {secret:NTFY_TOKEN}")
//!     .json(&serde_json::json!({ "title": "deployed" }))
//!     .send()?;
//! assert!(response.is_success());
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{clock, host};

/// A request, built step by step and then [sent](Request::send).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Absolute `http://` or `https://` URL.
    pub url: String,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    /// 10 s when absent; never more than the plugin's wall clock limit.
    pub timeout: Option<Duration>,
    /// What was wrong with a value given to [`Request::json`].
    invalid: Option<String>,
}

impl Request {
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            invalid: None,
        }
    }

    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body, and no content type.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets a JSON body and its content type. Where the value cannot be JSON,
    /// [`Request::send`] says so.
    #[must_use]
    pub fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.header("Content-Type", "application/json").body(body),
            Err(error) => {
                self.invalid = Some(format!("body cannot be JSON: {error}"));
                self
            }
        }
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The body as JSON, for unit tests.
    ///
    /// # Errors
    /// Where there is no body, or it has not that shape.
    pub fn read_json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body.as_deref().unwrap_or_default())
    }

    /// Sends it and waits for the answer. Every status is an answer, also 404.
    ///
    /// # Errors
    /// Where there was no answer, or the request was refused: see [`Error`].
    pub fn send(self) -> Result<Response, Error> {
        match self.invalid {
            Some(reason) => Err(Error::Invalid(reason)),
            None => host::send(self),
        }
    }
}

/// What the target answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Names and values, in order.
    pub headers: Vec<(String, String)>,
    /// At most 1 MiB; longer answers are cut.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer for unit tests.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text; what is no UTF-8 becomes `�`.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as a type of yours.
    ///
    /// # Errors
    /// Where the body is no JSON, or has not that shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// When the target wants to be asked again: seconds, whole or not, or a date,
    /// in the `Retry-After` header, else seconds in the JSON body's `retry_after`.
    /// A date counts from the target's own `Date`, where it says that.
    pub fn retry_after(&self) -> Option<Duration> {
        const LONG_S: f64 = 1e9;

        #[derive(serde::Deserialize)]
        struct Body {
            retry_after: f64,
        }

        // However many: the server keeps to a day of it.
        let seconds =
            |seconds: f64| Duration::try_from_secs_f64(seconds.clamp(f64::MIN, LONG_S)).ok();
        if let Some(value) = self.header("Retry-After").map(str::trim) {
            let said = value.parse().ok().and_then(seconds);
            if let Some(after) = said.or_else(|| self.until(value)) {
                return Some(after);
            }
        }
        seconds(self.json::<Body>().ok()?.retry_after)
    }

    /// Nothing is left of a date that is past.
    fn until(&self, date: &str) -> Option<Duration> {
        let date = httpdate::parse_http_date(date).ok()?;
        let said = self.header("Date").map(httpdate::parse_http_date);
        let now = match said {
            Some(Ok(now)) => now,
            _ => UNIX_EPOCH + Duration::from_millis(clock::now_ms()),
        };
        Some(date.duration_since(now).unwrap_or_default())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Not granted, or not given a secret: the text is what to add to the configuration. In
    /// `describe` and `configure` everything is denied.
    Denied(String),
    /// The URL, a header or a secret's name is wrong; retrying will not help.
    Invalid(String),
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Connection(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "not granted: {reason}"),
            Self::Invalid(reason) => write!(f, "request is invalid: {reason}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Connection(reason) => write!(f, "connection failed: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::{Error, Request, Response};

    #[test]
    fn retry_after_is_read_from_the_header_then_from_the_body() {
        let after = |response: Response| response.retry_after();
        let millis = |ms| Some(Duration::from_millis(ms));
        assert_eq!(
            after(Response::new(429).with_header("retry-after", " 3 ")),
            millis(3000)
        );
        assert_eq!(
            after(Response::new(429).with_body(r#"{"retry_after":0.376}"#)),
            millis(376)
        );
        let long = after(Response::new(429).with_header("retry-after", "1e30"));
        assert!(long > millis(86_400_000), "{long:?}");
        for nonsense in ["-1", "NaN", "soon"] {
            assert_eq!(
                after(Response::new(429).with_header("Retry-After", nonsense)),
                None,
                "{nonsense}"
            );
        }
    }

    #[test]
    fn a_date_counts_from_the_targets_own_clock() {
        let date = |seconds| format!("Fri, 31 Dec 1999 23:59:{seconds} GMT");
        let response = Response::new(503).with_header("Retry-After", &date(59));
        let early = response.clone().with_header("Date", &date(17));
        assert_eq!(early.retry_after(), Some(Duration::from_secs(42)));
        let late = Response::new(503)
            .with_header("Retry-After", &date(17))
            .with_header("Date", &date(59));
        assert_eq!(late.retry_after(), Some(Duration::ZERO));
        // Without that, from the host's.
        assert!(response.retry_after().is_some());
    }

    #[test]
    fn a_value_that_cannot_be_json_is_an_invalid_request() {
        let no_json = BTreeMap::from([(vec![1], 1)]);
        let sent = Request::post("https://a.example").json(&no_json).send();
        assert!(matches!(sent, Err(Error::Invalid(_))), "{sent:?}");
    }
}
