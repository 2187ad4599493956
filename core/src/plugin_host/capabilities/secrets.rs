//! Secrets that a plugin names and never sees.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use crate::{plugin_host::sandbox::GuestEvent, scrub::Scrubber};

/// How a plugin names a secret: `{secret:NAME}`.
const OPEN: &str = "{secret:";
const CLOSE: &str = "}";
/// The same in the path of a parsed URL.
const OPEN_IN_PATH: &str = "%7Bsecret:";
const CLOSE_IN_PATH: &str = "%7D";
/// What is left of a placeholder that stands in data.
const DISARMED: &str = "{ secret:";

/// The secrets of one plugin, by the name it knows them by. Cheap to clone;
/// never shown.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Known>);

#[derive(Default)]
struct Known {
    values: BTreeMap<String, String>,
    scrubber: Scrubber,
}

impl Secrets {
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values: BTreeMap<String, String> = values.into_iter().collect();
        let scrubber = Scrubber::new(values.values().map(String::as_str));
        Self(Arc::new(Known { values, scrubber }))
    }

    /// Secrets of these names and without their values.
    pub fn unknown<'n>(names: impl IntoIterator<Item = &'n String>) -> Self {
        let values = names.into_iter();
        let values = values.map(|name| (name.clone(), format!("(secret {name})")));
        Self(Arc::new(Known {
            values: values.collect(),
            scrubber: Scrubber::default(),
        }))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values.keys().map(String::as_str)
    }

    /// Takes these secrets out of text.
    pub fn scrubber(&self) -> Scrubber {
        self.0.scrubber.clone()
    }

    /// The error says which secret is missing.
    pub(super) fn value(&self, name: &str) -> Result<&str, String> {
        let value = self.0.values.get(name).map(String::as_str);
        value.ok_or_else(|| {
            format!("secret `{name}` is not set for this plugin: add it to its `secrets`")
        })
    }

    /// Puts secrets where text names them, `escape`d for the place they go to.
    pub(super) fn fill(
        &self,
        text: &[u8],
        escape: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, String> {
        self.fill_between(OPEN, CLOSE, text, escape)
    }

    pub(super) fn fill_path(
        &self,
        path: &str,
        escape: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, String> {
        self.fill_between(OPEN_IN_PATH, CLOSE_IN_PATH, path.as_bytes(), escape)
    }

    /// An event's text comes from anywhere, a container's output included: if it
    /// names a secret, and a sink passes it on, the secret must not go with it.
    pub(in crate::plugin_host) fn disarm<'e>(&self, event: &'e GuestEvent) -> Cow<'e, GuestEvent> {
        let texts = [
            &event.subject,
            &event.actor,
            &event.payload,
            &event.annotations,
        ];
        if self.0.values.is_empty() || !texts.iter().any(|text| text.contains(OPEN)) {
            return Cow::Borrowed(event);
        }
        let disarmed = |text: &str| text.replace(OPEN, DISARMED);
        Cow::Owned(GuestEvent {
            subject: disarmed(&event.subject),
            actor: disarmed(&event.actor),
            payload: disarmed(&event.payload),
            annotations: disarmed(&event.annotations),
            ..event.clone()
        })
    }

    /// The same for what a target answered, which may also repeat a secret.
    pub(super) fn disarm_answer(&self, text: String) -> String {
        self.0.scrubber.scrub(text).replace(OPEN, DISARMED)
    }

    fn fill_between(
        &self,
        open: &str,
        close: &str,
        text: &[u8],
        escape: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, String> {
        let mut filled = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = find(rest, open) {
            let (before, named) = rest.split_at(at);
            filled.extend(before);
            let inside = &named[open.len()..];
            let name = find(inside, close).and_then(|end| name(&inside[..end]));
            match name {
                Some(name) => {
                    filled.extend(escape(self.value(name)?).into_bytes());
                    rest = &inside[name.len() + close.len()..];
                }
                None => {
                    filled.extend(open.as_bytes());
                    rest = inside;
                }
            }
        }
        filled.extend(rest);
        Ok(filled)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn find(text: &[u8], what: &str) -> Option<usize> {
    text.windows(what.len())
        .position(|window| window == what.as_bytes())
}

/// `None` when it is no name: then the text only looks like a placeholder.
fn name(text: &[u8]) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    if text.is_empty() || !text.iter().all(is_name) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::{GuestEvent, Secrets};
    use crate::model::Severity;

    fn secrets() -> Secrets {
        Secrets::new([("TOKEN".to_owned(), "s3cret-value".to_owned())])
    }

    fn fill(text: &str) -> Result<String, String> {
        let filled = secrets().fill(text.as_bytes(), str::to_uppercase)?;
        Ok(String::from_utf8(filled).expect("UTF-8"))
    }

    #[test]
    fn a_placeholder_is_filled_with_the_escaped_value() {
        let filled = fill("Bearer {secret:TOKEN}, {secret:TOKEN}").expect("filled");
        assert_eq!(filled, "Bearer S3CRET-VALUE, S3CRET-VALUE");
    }

    #[test]
    fn what_only_looks_like_a_placeholder_is_left_alone() {
        for text in ["{secret:", "{secret:a b}", "{secret:}", "{\"secret\":1}"] {
            assert_eq!(fill(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_secret_that_is_not_set_is_named() {
        let problem = fill("{secret:OTHER}").expect_err("not set");
        assert!(problem.contains("`OTHER`"), "{problem}");
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(format!("{:?}", secrets()), r#"{"TOKEN"}"#);
    }

    #[test]
    fn a_placeholder_in_an_event_is_data() {
        let event = GuestEvent {
            id: 1,
            kind: "deploy_log".into(),
            time: String::new(),
            node: String::new(),
            subject: "shop/prod".into(),
            severity: Severity::Info,
            actor: String::new(),
            cause: None,
            payload: r#"{"line":"{secret:TOKEN}"}"#.into(),
            annotations: "{}".into(),
        };
        let disarmed = secrets().disarm(&event).into_owned();
        let same = secrets().fill(disarmed.payload.as_bytes(), str::to_owned);
        assert_eq!(same, Ok(disarmed.payload.into_bytes()));
        assert_eq!(Secrets::default().disarm(&event).into_owned(), event);
    }
}
