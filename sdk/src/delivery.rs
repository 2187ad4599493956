use std::time::Duration;

use crate::http::{Error, Response};
use crate::{Event, text};

/// A sealed list of events for one sink, and which attempt at it this is.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Constant over all attempts, also after a crash: the idempotency key.
    pub id: String,
    /// Counts from 1.
    pub attempt: u32,
    /// Time of the first attempt: UTC, RFC 3339 with milliseconds.
    pub first_attempt: String,
    /// A test that somebody asked for: say so in the message.
    pub test: bool,
    /// Base of links back to the dashboard, without a final slash.
    pub public_url: Option<String>,
    /// Never empty, in journal order.
    pub events: Vec<Event>,
}

impl Delivery {
    /// A first attempt at these events, for unit tests.
    pub fn new(events: Vec<Event>) -> Self {
        Self {
            id: "d-test".to_owned(),
            attempt: 1,
            first_attempt: "2026-01-01T00:00:00.000Z".to_owned(),
            test: false,
            public_url: None,
            events,
        }
    }

    /// Address of a page of the dashboard, where its address is known:
    /// `delivery.link("/events")`.
    pub fn link(&self, path: &str) -> Option<String> {
        self.public_url.as_ref().map(|base| format!("{base}{path}"))
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target has accepted every event.
    Ok,
    /// Nothing was accepted; the host tries all again later.
    Retry {
        /// What the target asked for; the host's backoff otherwise.
        after: Option<Duration>,
        reason: String,
    },
    /// It will never be accepted: becomes a dead letter.
    Reject { reason: String },
}

impl Outcome {
    /// Try again with the host's backoff.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            after: None,
            reason: reason.into(),
        }
    }

    /// Never try again.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject {
            reason: reason.into(),
        }
    }

    /// The rule that fits most targets. 2xx is accepted. 408, 429 and 5xx are
    /// tried again, after what the target asks for. Every other status is final,
    /// redirects too. The reason quotes the target.
    pub fn from_response(response: &Response) -> Self {
        let reason = || {
            let answer = response.text();
            let answer = text::shorten(answer.trim(), 300);
            match answer.is_empty() {
                true => format!("answered {}", response.status),
                false => format!("answered {}: {answer}", response.status),
            }
        };
        match response.status {
            200..=299 => Self::Ok,
            408 | 429 | 500.. => Self::Retry {
                after: response.retry_after(),
                reason: reason(),
            },
            _ => Self::reject(reason()),
        }
    }
}

/// No answer is tried again, and so is a missing grant: the operator can give it.
/// A request that is wrong in itself is final.
impl From<Error> for Outcome {
    fn from(error: Error) -> Self {
        let reason = error.to_string();
        match error {
            Error::Invalid(_) => Self::reject(reason),
            Error::Denied(_) | Error::Timeout | Error::Connection(_) => Self::retry(reason),
        }
    }
}

/// [`Outcome::from_response`], or what its [`Error`] says.
impl From<Result<Response, Error>> for Outcome {
    fn from(answer: Result<Response, Error>) -> Self {
        match answer {
            Ok(response) => Self::from_response(&response),
            Err(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Outcome;
    use crate::http::{Error, Response};

    #[test]
    fn the_status_decides_and_the_reason_quotes_the_target() {
        let outcome = |status| Outcome::from_response(&Response::new(status).with_body("no luck"));
        assert_eq!(outcome(204), Outcome::Ok);
        for status in [408, 429, 500, 503] {
            assert_eq!(
                outcome(status),
                Outcome::retry(format!("answered {status}: no luck"))
            );
        }
        for status in [301, 400, 403, 404, 410] {
            assert_eq!(
                outcome(status),
                Outcome::reject(format!("answered {status}: no luck"))
            );
        }
    }

    #[test]
    fn a_target_says_when_to_come_back() {
        let response = Response::new(429).with_header("Retry-After", "2.5");
        assert_eq!(
            Outcome::from_response(&response),
            Outcome::Retry {
                after: Some(Duration::from_millis(2500)),
                reason: "answered 429".to_owned()
            }
        );
    }

    #[test]
    fn only_a_wrong_request_is_final_without_an_answer() {
        let is_final = |error: Error| matches!(Outcome::from(error), Outcome::Reject { .. });
        assert!(is_final(Error::Invalid("bad url".into())));
        assert!(!is_final(Error::Timeout));
        assert!(!is_final(Error::Connection("refused".into())));
        assert!(!is_final(Error::Denied("add grants.http".into())));
    }
}
