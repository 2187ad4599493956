use std::time::Duration;

use crate::{
    model::{DryRunRequest, Timestamp},
    plugin_host::HostError,
};

const SINCE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);
const LIMIT_DEFAULT: usize = 500;
const LIMIT_MAX: usize = 2_000;

/// Which past events a dry run is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Events at most.
    pub limit: usize,
}

impl Span {
    pub fn of(request: &DryRunRequest) -> Result<Self, HostError> {
        let until = Timestamp::now();
        let limit = request.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let message = format!("{limit} is not between 1 and {LIMIT_MAX}");
            return Err(HostError::invalid("limit", message));
        }
        if let Some(answer) = &request.answer
            && !(100..=599).contains(&answer.status)
        {
            let message = format!("{} is no HTTP status", answer.status);
            return Err(HostError::invalid("answer/status", message));
        }
        let since = match &request.since {
            None => before(until, SINCE_DEFAULT),
            Some(text) => since(text, until)?,
        };
        Ok(Self {
            since,
            until,
            limit,
        })
    }
}

fn since(text: &str, now: Timestamp) -> Result<Timestamp, HostError> {
    if let Some(time) = Timestamp::parse(text) {
        return Ok(time);
    }
    let back = humantime::parse_duration(text).map_err(|_| {
        let message = format!(
            "`{text}` is neither a duration such as 24h or 7days nor a time such as 2026-03-27T22:30:00Z"
        );
        HostError::invalid("since", message)
    })?;
    Ok(before(now, back))
}

fn before(now: Timestamp, back: Duration) -> Timestamp {
    let back = i64::try_from(back.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(now.unix_ms().saturating_sub(back).max(0))
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, before, since};
    use std::time::Duration;

    #[test]
    fn a_span_begins_at_a_time_or_some_time_ago() {
        let now = Timestamp::from_unix_ms(100_000);
        assert_eq!(
            since("40s", now).ok(),
            Some(Timestamp::from_unix_ms(60_000))
        );
        let time = "2026-03-27T22:30:00Z";
        assert_eq!(since(time, now).ok(), Timestamp::parse(time));
        let error = since("yesterday", now).expect_err("refused").to_string();
        assert!(
            error.contains("`yesterday`") && error.contains("24h"),
            "{error}"
        );
        assert_eq!(before(now, Duration::MAX), Timestamp::from_unix_ms(0));
    }
}
