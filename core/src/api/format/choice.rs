use std::cmp::Reverse;

use axum::http::{HeaderMap, StatusCode, header::ACCEPT};

use super::{BATCH_MEDIA_TYPE, CloudEvent, Format, MEDIA_TYPE, ndjson};
use crate::api::{
    ApiError,
    accept::{self, Quality},
    query::Query,
};

/// What a request for events is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Events as they happen.
    Stream(Format),
    /// Events that have happened.
    Page(PageFormat),
}

/// How events are written that do not come as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    Plain,
    CloudEvents,
    CdEvents,
}

impl PageFormat {
    /// `None` if this form has no word for the event.
    pub fn cloud_event(self, journal: &str, json: &str) -> serde_json::Result<Option<CloudEvent>> {
        let event = CloudEvent::new(journal, json)?;
        match self {
            Self::CdEvents => event.into_cd_event(),
            Self::Plain | Self::CloudEvents => Ok(Some(event)),
        }
    }
}

/// One of the things that a client may ask for.
struct Offer<T> {
    media_type: &'static str,
    answer: T,
    /// A wildcard means it, too.
    is_usual: bool,
}

/// Of those that are asked for alike, the first is given. Somebody who takes
/// both CloudEvents and server-sent events gets the ones in the others.
const OFFERS: [Offer<Answer>; 5] = [
    by_name(MEDIA_TYPE, Answer::Stream(Format::CloudEvents)),
    usual(Format::Plain.media_type(), Answer::Stream(Format::Plain)),
    by_name(ndjson::MEDIA_TYPE, Answer::Stream(Format::Ndjson)),
    by_name(BATCH_MEDIA_TYPE, Answer::Page(PageFormat::CloudEvents)),
    usual("application/json", Answer::Page(PageFormat::Plain)),
];

const OFFERS_OF_ONE: [Offer<PageFormat>; 2] = [
    usual("application/json", PageFormat::Plain),
    by_name(MEDIA_TYPE, PageFormat::CloudEvents),
];

/// What `Accept` asks for, in the form that `format=` names; `default` for a
/// client that takes anything.
pub fn choose(headers: &HeaderMap, query: &Query, default: Answer) -> Result<Answer, ApiError> {
    let accepted = preferred(headers, &OFFERS, default)?;
    Ok(match (query.format()?, accepted) {
        (None, accepted) => accepted,
        (Some(Format::Plain), Answer::Page(_)) => Answer::Page(PageFormat::Plain),
        (Some(Format::CloudEvents), Answer::Page(_)) => Answer::Page(PageFormat::CloudEvents),
        (Some(Format::CdEvents), Answer::Page(_)) => Answer::Page(PageFormat::CdEvents),
        (Some(format), Answer::Stream(_)) | (Some(format @ Format::Ndjson), Answer::Page(_)) => {
            Answer::Stream(format)
        }
    })
}

/// The same for one event.
pub fn choose_for_one(headers: &HeaderMap, query: &Query) -> Result<PageFormat, ApiError> {
    match query.format()? {
        None => preferred(headers, &OFFERS_OF_ONE, PageFormat::Plain),
        Some(Format::Plain) => Ok(PageFormat::Plain),
        Some(Format::CloudEvents) => Ok(PageFormat::CloudEvents),
        Some(Format::CdEvents) => Ok(PageFormat::CdEvents),
        Some(Format::Ndjson) => Err(ApiError::bad_request(
            "parameter `format`: `ndjson` is for streams, one event is `plain`, `cloudevents` or `cdevents`",
        )),
    }
}

const fn usual<T>(media_type: &'static str, answer: T) -> Offer<T> {
    Offer {
        media_type,
        answer,
        is_usual: true,
    }
}

const fn by_name<T>(media_type: &'static str, answer: T) -> Offer<T> {
    Offer {
        media_type,
        answer,
        is_usual: false,
    }
}

fn preferred<T: Copy + PartialEq>(
    headers: &HeaderMap,
    offers: &[Offer<T>],
    default: T,
) -> Result<T, ApiError> {
    if !accept::lists_any(headers, &ACCEPT) {
        return Ok(default);
    }
    let wanted = offers.iter().enumerate().filter_map(|(place, offer)| {
        let (quality, is_named) = offer.wanted(headers)?;
        let is_default = !is_named && offer.answer == default;
        Some((
            (quality, is_named, is_default, Reverse(place)),
            offer.answer,
        ))
    });
    wanted
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, answer)| answer)
        .ok_or_else(|| not_acceptable(offers))
}

impl<T> Offer<T> {
    /// How much, and whether by its name; `None` if not at all.
    fn wanted(&self, headers: &HeaderMap) -> Option<(Quality, bool)> {
        let of = |range: &str| accept::quality(headers, &ACCEPT, range);
        let named = of(self.media_type).map(|quality| (quality, true));
        let wanted = named.or_else(|| {
            let (kind, _) = self.media_type.split_once('/')?;
            let quality = of(&format!("{kind}/*")).or_else(|| of("*/*"))?;
            self.is_usual.then_some((quality, false))
        });
        wanted.filter(|(quality, _)| *quality > 0)
    }
}

fn not_acceptable<T>(offers: &[Offer<T>]) -> ApiError {
    let known: Vec<&str> = offers.iter().map(|offer| offer.media_type).collect();
    ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        format!(
            "nothing that `Accept` lists is served here, there are: {}",
            known.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, StatusCode, header::ACCEPT};

    use super::{
        Answer::{self, Page, Stream},
        Format, PageFormat, choose, choose_for_one,
    };
    use crate::api::query::Query;

    fn accepting(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(text))])
    }

    fn chosen(accept: &'static str, query: &str) -> Result<Answer, StatusCode> {
        let default = Stream(Format::Plain);
        choose(&accepting(accept), &Query::parse(query), default).map_err(|error| error.status())
    }

    #[test]
    fn what_a_client_likes_best_is_chosen() {
        for (accept, expected) in [
            ("", Stream(Format::Plain)),
            ("*/*", Stream(Format::Plain)),
            ("text/html, */*;q=0.8", Stream(Format::Plain)),
            ("text/event-stream", Stream(Format::Plain)),
            ("text/event-stream, application/json", Stream(Format::Plain)),
            ("application/json, text/plain, */*", Page(PageFormat::Plain)),
            ("application/*", Page(PageFormat::Plain)),
            (
                "application/json;q=0.2, text/event-stream;q=0.1",
                Page(PageFormat::Plain),
            ),
            ("text/event-stream;q=0, */*", Page(PageFormat::Plain)),
            ("application/x-ndjson", Stream(Format::Ndjson)),
            ("application/cloudevents+json", Stream(Format::CloudEvents)),
            (
                "text/event-stream, application/cloudevents+json",
                Stream(Format::CloudEvents),
            ),
            (
                "text/event-stream, application/cloudevents+json;q=0.9",
                Stream(Format::Plain),
            ),
            (
                "application/cloudevents-batch+json",
                Page(PageFormat::CloudEvents),
            ),
        ] {
            assert_eq!(chosen(accept, ""), Ok(expected), "{accept}");
        }
        for accept in ["text/html", "*/*;q=0", "text/event-stream;q=loud"] {
            assert_eq!(
                chosen(accept, ""),
                Err(StatusCode::NOT_ACCEPTABLE),
                "{accept}"
            );
        }
    }

    #[test]
    fn a_format_that_is_named_wins_over_what_is_accepted() {
        let json = "application/json";
        for (accept, query, expected) in [
            ("*/*", "format=cloudevents", Stream(Format::CloudEvents)),
            (json, "format=cloudevents", Page(PageFormat::CloudEvents)),
            ("*/*", "format=cdevents", Stream(Format::CdEvents)),
            (json, "format=cdevents", Page(PageFormat::CdEvents)),
            ("*/*", "format=ndjson", Stream(Format::Ndjson)),
            (json, "format=ndjson", Stream(Format::Ndjson)),
            (
                "application/cloudevents+json",
                "format=plain",
                Stream(Format::Plain),
            ),
            (
                "application/cloudevents-batch+json",
                "format=plain",
                Page(PageFormat::Plain),
            ),
        ] {
            assert_eq!(chosen(accept, query), Ok(expected), "{accept} {query}");
        }
        assert_eq!(chosen("*/*", "format=xml"), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn one_event_is_plain_or_a_cloud_event() {
        let of = |accept, query| {
            choose_for_one(&accepting(accept), &Query::parse(query)).map_err(|error| error.status())
        };
        assert_eq!(of("*/*", ""), Ok(PageFormat::Plain));
        assert_eq!(
            of("application/cloudevents+json", ""),
            Ok(PageFormat::CloudEvents)
        );
        assert_eq!(of("*/*", "format=cloudevents"), Ok(PageFormat::CloudEvents));
        assert_eq!(of("*/*", "format=cdevents"), Ok(PageFormat::CdEvents));
        assert_eq!(of("*/*", "format=ndjson"), Err(StatusCode::BAD_REQUEST));
        assert_eq!(of("text/event-stream", ""), Err(StatusCode::NOT_ACCEPTABLE));
    }
}
