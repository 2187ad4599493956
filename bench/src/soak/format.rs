use anyhow::{Context, bail, ensure};
use rand::{Rng, rngs::StdRng};
use serde::Deserialize;

/// In which form a client gets events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Plain,
    CloudEvents,
    Ndjson,
}

/// How a stream is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
}

/// One piece of a stream; what it does not have is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame<'b> {
    /// From where a client goes on that has read this.
    pub position: &'b str,
    /// Of the stream's own words: which it is.
    pub control: &'b str,
    /// JSON.
    pub data: &'b str,
}

impl Format {
    pub fn by_chance(rng: &mut StdRng) -> Self {
        match rng.random_range(0..10) {
            0..7 => Self::Plain,
            7..9 => Self::Ndjson,
            _ => Self::CloudEvents,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::CloudEvents => "CloudEvents",
            Self::Ndjson => "NDJSON",
        }
    }

    /// For events as `filter` says; on from a position, unless that is empty.
    pub fn request(self, filter: &str, position: &str) -> Request {
        let mut path = format!("/api/events?{filter}");
        let accept = match self {
            Self::Plain => "text/event-stream",
            Self::CloudEvents => "application/cloudevents+json",
            Self::Ndjson => "application/x-ndjson",
        };
        let mut headers = vec![("accept", accept.to_owned())];
        if !position.is_empty() {
            match self {
                Self::Plain | Self::CloudEvents => {
                    headers.push(("last-event-id", position.to_owned()));
                }
                Self::Ndjson => path += &format!("&after={position}"),
            }
        }
        Request { path, headers }
    }

    /// What each frame ends with.
    pub fn end(self) -> &'static [u8] {
        match self {
            Self::Plain | Self::CloudEvents => b"\n\n",
            Self::Ndjson => b"\n",
        }
    }

    /// One frame without its end.
    pub fn read(self, bytes: &[u8]) -> anyhow::Result<Frame<'_>> {
        let text = std::str::from_utf8(bytes)?;
        let read = match self {
            Self::Plain => sse(text),
            Self::CloudEvents => cloud_event(text),
            Self::Ndjson => line(text),
        };
        read.with_context(|| format!("a frame that cannot be read: {text:?}"))
    }
}

fn sse(text: &str) -> anyhow::Result<Frame<'_>> {
    let mut frame = Frame::default();
    for line in text.split('\n') {
        match line.split_once(": ") {
            Some(("id", id)) => frame.position = id,
            Some(("event", event)) => frame.control = event,
            Some(("data", data)) => frame.data = data,
            Some(("retry" | "", _)) => {}
            _ => bail!("there is no field in {line:?}"),
        }
    }
    Ok(frame)
}

/// The event's own `id` and the field are one: clients go on from either.
fn cloud_event(text: &str) -> anyhow::Result<Frame<'_>> {
    #[derive(Deserialize)]
    struct CloudEvent<'b> {
        specversion: &'b str,
        id: &'b str,
    }
    let frame = sse(text)?;
    if frame.control.is_empty() {
        let CloudEvent { specversion, id } = serde_json::from_str(frame.data)?;
        ensure!(specversion == "1.0" && id == frame.position);
    }
    Ok(frame)
}

fn line(text: &str) -> anyhow::Result<Frame<'_>> {
    #[derive(Deserialize)]
    struct Line<'b> {
        #[serde(default)]
        position: &'b str,
        #[serde(default)]
        control: &'b str,
    }
    let Line { position, control } = serde_json::from_str(text)?;
    Ok(Frame {
        position,
        control,
        data: text,
    })
}

#[cfg(test)]
mod tests {
    use super::{Format, Frame};

    #[test]
    fn each_form_says_the_same() {
        let event = Frame {
            position: "j-1",
            ..Frame::default()
        };
        for (format, text) in [
            (Format::Plain, "id: j-1\ndata: {\"a\": 1}"),
            (
                Format::CloudEvents,
                "id: j-1\ndata: {\"specversion\": \"1.0\", \"id\": \"j-1\"}",
            ),
            (Format::Ndjson, "{\"position\": \"j-1\", \"a\": 1}"),
        ] {
            let read = format.read(text.as_bytes()).expect("a frame");
            assert!(read.data.starts_with('{'), "{read:?}");
            assert_eq!(Frame { data: "", ..read }, event, "{format:?}");
        }
    }

    #[test]
    fn what_is_cut_or_contradicts_itself_is_refused() {
        for (format, text) in [
            (Format::Plain, "id: j-1\nta: {}"),
            (
                Format::CloudEvents,
                "id: j-1\ndata: {\"specversion\": \"1.0\", \"id\": \"j-2\"}",
            ),
            (Format::Ndjson, "{\"position\": \"j-1\""),
        ] {
            assert!(format.read(text.as_bytes()).is_err(), "{format:?}");
        }
    }

    #[test]
    fn a_resume_is_asked_for_as_the_form_has_it() {
        let sse = Format::Plain.request("", "j-1");
        assert_eq!(sse.headers[1], ("last-event-id", "j-1".to_owned()));
        let lines = Format::Ndjson.request("severity=critical", "j-1");
        assert_eq!(lines.path, "/api/events?severity=critical&after=j-1");
    }
}
