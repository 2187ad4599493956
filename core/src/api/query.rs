use std::{str::FromStr, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};

use super::{ApiError, format::Format};
use crate::{
    events::{Filter, Start},
    model::{DeployId, EventId, EventType, Position, Severity},
};

/// Rows of a page when `limit` is not given, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 500;
/// Types, names and numbers in a filter.
const NAMED_MAX: usize = 1_000;
/// Longer than any name of a container, project or stage.
const NAME_BYTES_MAX: usize = 255;

/// The parameters of a request; each may be repeated or comma-separated.
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub fn parse(text: &str) -> Self {
        let parameters = url::form_urlencoded::parse(text.as_bytes());
        Self(parameters.into_owned().collect())
    }

    /// Refuses parameters that nobody reads: a mistyped filter must not show
    /// everything.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self
            .0
            .iter()
            .find(|(name, _)| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::bad_request(format!(
                "parameter `{name}` is not known here, there are: {}",
                known.join(", ")
            ))),
        }
    }

    /// Refuses parameters that are known, and not for what was asked: `why`.
    pub fn none_of(&self, others: &[&str], why: &str) -> Result<(), ApiError> {
        match others.iter().find(|name| self.text(name).is_some()) {
            None => Ok(()),
            Some(name) => Err(ApiError::bad_request(format!("parameter `{name}`: {why}"))),
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn list(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| key == name);
        let values = values.flat_map(|(_, value)| value.split(','));
        values
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
        self.text(name)
            .map(|text| parse_one(name, text, expected))
            .transpose()
    }

    pub fn limit(&self) -> Result<usize, ApiError> {
        let limit = self.parsed::<usize>("limit", "a number from 1 to 500")?;
        match limit.unwrap_or(LIMIT_DEFAULT) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            limit => Err(ApiError::bad_request(format!(
                "parameter `limit`: {limit} is not a number from 1 to {LIMIT_MAX}"
            ))),
        }
    }

    /// How long a stream may gather events to leave out what is outdated.
    pub fn coalesce(&self) -> Result<Option<Duration>, ApiError> {
        let expected = "a number of milliseconds from 100 to 60000";
        match self.parsed::<u64>("coalesce", expected)? {
            None => Ok(None),
            Some(ms @ 100..=60_000) => Ok(Some(Duration::from_millis(ms))),
            Some(ms) => Err(ApiError::bad_request(format!(
                "parameter `coalesce`: {ms} is not {expected}"
            ))),
        }
    }

    pub fn format(&self) -> Result<Option<Format>, ApiError> {
        let formats = self.each("format", Format::parse, &Format::ALL.map(Format::as_str))?;
        Ok(formats.last().copied())
    }

    /// The query of the same request with another value of one parameter.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(key, _)| key != name);
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair(name, value)
            .finish()
    }

    /// The filter parameters of `/api/events`.
    pub fn filter(&self) -> Result<Filter, ApiError> {
        let types = self.each(
            "type",
            EventType::parse,
            &EventType::ALL.map(EventType::as_str),
        )?;
        let severities = Severity::ALL.map(Severity::as_str);
        within_reason(Filter {
            types,
            projects: self.list("project"),
            stages: self.list("stage"),
            instances: self.list("instance"),
            deploys: self.deploys("deploy")?,
            logs: self.deploys("logs")?,
            min_severity: self
                .each("severity", Severity::parse, &severities)?
                .into_iter()
                .min(),
        })
    }

    fn deploys(&self, name: &str) -> Result<Vec<DeployId>, ApiError> {
        self.list(name)
            .iter()
            .map(|text| parse_one(name, text, "the number of a deploy").map(DeployId))
            .collect()
    }

    pub fn each<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: &[&str],
    ) -> Result<Vec<T>, ApiError> {
        let unknown = |text: &String| {
            let known = known.join(", ");
            ApiError::bad_request(format!(
                "parameter `{name}`: `{text}` is not one of {known}"
            ))
        };
        self.list(name)
            .iter()
            .map(|text| parse(text).ok_or_else(|| unknown(text)))
            .collect()
    }

    /// Where a stream starts: `Last-Event-ID`, else `after`, else `fallback`.
    pub fn start(&self, headers: &HeaderMap, fallback: Start) -> Result<Start, ApiError> {
        let remembered = headers.get("last-event-id");
        if let Some(id) = remembered.filter(|id| !id.is_empty()) {
            // A browser repeats what it was once told, and cannot mend it.
            // A number alone says nothing of its journal, which may be another one by now.
            let position = id.to_str().ok().and_then(Position::parse);
            return Ok(position.map_or(Start::Unknown, Start::Resume));
        }
        match self.text("after").filter(|text| !text.is_empty()) {
            None => Ok(fallback),
            Some(text) => parse_start(text).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "`{text}` is not an event id: expected `<journal>-<number>` or a number"
                ))
            }),
        }
    }
}

/// Each event is held against what a filter names.
pub fn within_reason(filter: Filter) -> Result<Filter, ApiError> {
    let names = [&filter.projects, &filter.stages, &filter.instances].map(Vec::len);
    let deploys = [&filter.deploys, &filter.logs].map(Vec::len);
    let named = filter.types.len() + names.iter().chain(&deploys).sum::<usize>();
    if named > NAMED_MAX {
        return Err(ApiError::bad_request(format!(
            "the filter names {named} things, and {NAMED_MAX} are the most"
        )));
    }
    let names = [&filter.projects, &filter.stages, &filter.instances];
    if let Some(long) = (names.into_iter().flatten()).find(|name| name.len() > NAME_BYTES_MAX) {
        return Err(ApiError::bad_request(format!(
            "the filter has a name of {} bytes, and none is longer than {NAME_BYTES_MAX}",
            long.len()
        )));
    }
    Ok(filter)
}

fn parse_start(text: &str) -> Option<Start> {
    if let Some(position) = Position::parse(text) {
        return Some(Start::Resume(position));
    }
    match text.parse().ok()? {
        // Whoever has seen nothing misses nothing of what is gone.
        0 => Some(Start::Oldest),
        id @ 1.. => Some(Start::After(EventId(id))),
        _ => None,
    }
}

fn parse_one<T: FromStr>(name: &str, text: &str, expected: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!("parameter `{name}`: `{text}` is not {expected}"))
    })
}
