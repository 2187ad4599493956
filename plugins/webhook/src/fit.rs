//! An event that is larger than targets take: its long texts and lists are cut, visibly,
//! and it arrives.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tiny_forge_plugin::Event;

/// What Standard Webhooks advises is less than 20 KB, with everything around the event.
pub(crate) const EVENT_BYTES_MAX: usize = 18_000;
/// At most, of all but payload and annotations.
const ENVELOPE_BYTES: usize = 2_000;

/// What is left of long texts, in bytes, and of long lists of them: as little as is needed.
const CUTS: [Cut; 4] = [
    Cut {
        text_bytes: 4_000,
        entries: 100,
    },
    Cut {
        text_bytes: 1_000,
        entries: 40,
    },
    Cut {
        text_bytes: 200,
        entries: 25,
    },
    Cut {
        text_bytes: 80,
        entries: 10,
    },
];
/// Objects have no fewer: what a program expects of one is there.
const FIELDS_MIN: usize = 25;

const MARK: &str = "… (cut)";

#[derive(Clone, Copy)]
struct Cut {
    text_bytes: usize,
    entries: usize,
}

/// An event as it is sent.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Fitting<'e> {
    Whole(&'e Event),
    Cut(Value),
}

pub(crate) fn fitting(event: &Event) -> Result<Fitting<'_>, serde_json::Error> {
    let bytes = event.payload_text().len() + event.annotations_text().len();
    if bytes + ENVELOPE_BYTES <= EVENT_BYTES_MAX {
        return Ok(Fitting::Whole(event));
    }
    let mut smaller = serde_json::to_value(event)?;
    for cut in CUTS {
        if fits(&smaller) {
            return Ok(Fitting::Cut(smaller));
        }
        for part in ["payload", "annotations"] {
            if let Some(Value::Object(fields)) = smaller.get_mut(part) {
                fields.values_mut().for_each(|field| cut.shorten(field));
            }
        }
    }
    if !fits(&smaller) {
        // Whoever added them can be asked; what happened is in the payload.
        smaller["annotations"] = json!({ "…": MARK });
    }
    Ok(Fitting::Cut(smaller))
}

fn fits(value: &Value) -> bool {
    value.to_string().len() <= EVENT_BYTES_MAX
}

impl Cut {
    fn shorten(self, value: &mut Value) {
        match value {
            Value::String(text) => self.shorten_text(text),
            Value::Array(items) => {
                // Others are what somebody counts on.
                if items.iter().all(Value::is_string) {
                    self.shorten_list(items);
                }
                items.iter_mut().for_each(|item| self.shorten(item));
            }
            Value::Object(fields) => {
                self.shorten_object(fields);
                fields.values_mut().for_each(|field| self.shorten(field));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Keeps the beginning.
    fn shorten_text(self, text: &mut String) {
        if text.len() > self.text_bytes {
            text.truncate(text.floor_char_boundary(self.text_bytes - MARK.len()));
            text.push_str(MARK);
        }
    }

    /// Keeps the end, where an output says why it ended.
    fn shorten_list(self, lines: &mut Vec<Value>) {
        let surplus = lines.len().saturating_sub(self.entries);
        if surplus > 0 {
            lines.splice(..=surplus, [MARK.into()]);
        }
    }

    fn shorten_object(self, fields: &mut Map<String, Value>) {
        let most = self.entries.max(FIELDS_MIN);
        if fields.len() > most {
            let kept = std::mem::take(fields).into_iter().take(most - 1);
            *fields = kept.chain([("…".to_owned(), MARK.into())]).collect();
        }
    }
}
