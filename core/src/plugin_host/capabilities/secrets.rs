//! Secrets that a plugin names and never sees.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

use memchr::memmem;

use super::http::Origin;
use crate::{plugin_host::sandbox::GuestEvent, scrub::Scrubber};

/// What secrets may add to one part of a request, escaped: the part was measured without.
const FILLED_BYTES_MAX: usize = 256 << 10;

const NAME_BYTES_MAX: usize = 64;

/// How a plugin names a secret: `{secret:NAME}`.
const OPEN: &str = "{secret:";
const CLOSE: &str = "}";
/// The same in the path of a parsed URL.
const OPEN_IN_PATH: &str = "%7Bsecret:";
const CLOSE_IN_PATH: &str = "%7D";
/// What all placeholders have in common, and what may stand before it. In data, a
/// space between the two makes it text.
const WORD: &str = "secret:";
const BRACES: [&[u8]; 3] = [b"{", b"%7B", b"%7b"];

/// The secrets of one plugin, by the name it knows them by. Cheap to clone;
/// never shown.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Known>);

#[derive(Default)]
struct Known {
    values: BTreeMap<String, Bound>,
    scrubber: Scrubber,
}

struct Bound {
    value: String,
    /// The only origins it may go to; else all that the plugin may reach.
    to: Option<Vec<Origin>>,
}

/// A value, and where it may go.
pub struct SecretValue {
    pub value: String,
    pub to: Option<Vec<String>>,
}

impl Bound {
    fn new(name: &str, secret: SecretValue) -> Result<Self, String> {
        let SecretValue { value, to } = secret;
        let parse = |origin: &String| {
            Origin::parse(origin).map_err(|reason| {
                format!("`{origin}` in the `to` of secret `{name}` is no origin: {reason}")
            })
        };
        let to = to.map(|to| to.iter().map(parse).collect::<Result<_, _>>());
        Ok(Self {
            value,
            to: to.transpose()?,
        })
    }
}

impl Secrets {
    /// The error is of an origin that is none.
    pub fn new(values: impl IntoIterator<Item = (String, SecretValue)>) -> Result<Self, String> {
        let values = values.into_iter().map(|(name, value)| {
            let bound = Bound::new(&name, value)?;
            Ok((name, bound))
        });
        let values: BTreeMap<String, Bound> = values.collect::<Result<_, String>>()?;
        let scrubber = Scrubber::new(values.values().map(|bound| bound.value.as_str()));
        Ok(Self(Arc::new(Known { values, scrubber })))
    }

    /// Secrets of these names, which may go to these origins, without their values: none of
    /// them can be told, and none is taken out of what a guest has in its own file, else
    /// whoever tries a file could try a guess.
    pub fn unknown(
        named: impl IntoIterator<Item = (String, Option<Vec<String>>)>,
    ) -> Result<Self, String> {
        let values = named.into_iter().map(|(name, to)| {
            let value = format!("(secret {name})");
            let bound = Bound::new(&name, SecretValue { value, to })?;
            Ok((name, bound))
        });
        Ok(Self(Arc::new(Known {
            values: values.collect::<Result<_, String>>()?,
            scrubber: Scrubber::default(),
        })))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values.keys().map(String::as_str)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// Takes these secrets out of text.
    pub fn scrubber(&self) -> &Scrubber {
        &self.0.scrubber
    }

    /// What may be put into a request to `origin`.
    pub(super) fn for_origin<'s>(&'s self, origin: &'s Origin) -> SecretsFor<'s> {
        SecretsFor {
            secrets: self,
            origin,
        }
    }

    pub(super) fn value(&self, name: &str) -> Result<&str, SecretRefused> {
        Ok(&self.bound(name)?.value)
    }

    fn bound(&self, name: &str) -> Result<&Bound, SecretRefused> {
        self.0.values.get(name).ok_or_else(|| {
            if is_secret_name(name) {
                SecretRefused::NotGranted(format!("secrets.{name} = \"env:{name}\""))
            } else {
                SecretRefused::Invalid(format!("`{name}` is no name of a secret"))
            }
        })
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
        if !texts.iter().any(|text| is_armed(text.as_bytes())) {
            return Cow::Borrowed(event);
        }
        Cow::Owned(GuestEvent {
            subject: disarmed_text(&event.subject),
            actor: disarmed_text(&event.actor),
            payload: disarmed_text(&event.payload),
            annotations: disarmed_text(&event.annotations),
            ..event.clone()
        })
    }

    /// The same for what a target answered, which may also repeat a secret; or its
    /// beginning, where the rest `is_cut`.
    pub(super) fn disarm_answer(&self, text: Vec<u8>, is_cut: bool) -> Vec<u8> {
        let scrubber = self.scrubber();
        let scrubbed = if is_cut {
            scrubber.scrub_cut(&text)
        } else {
            scrubber.scrub_bytes(&text)
        };
        let text = scrubbed.unwrap_or(text);
        if is_armed(&text) {
            disarmed(&text)
        } else {
            text
        }
    }
}

/// Why a secret does not go where a plugin wants it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SecretRefused {
    /// The operator has not given it: what to add.
    #[error("add {0}")]
    NotGranted(String),
    #[error("{0}")]
    Invalid(String),
}

/// The secrets of a plugin as far as they may go to one origin.
#[derive(Clone, Copy)]
pub(super) struct SecretsFor<'s> {
    secrets: &'s Secrets,
    origin: &'s Origin,
}

impl SecretsFor<'_> {
    /// Puts secrets where text names them, `escape`d for the place they go to.
    pub(super) fn fill(
        &self,
        text: &[u8],
        escape: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, SecretRefused> {
        self.fill_between(OPEN, CLOSE, text, escape)
    }

    pub(super) fn fill_path(
        &self,
        path: &str,
        escape: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, SecretRefused> {
        self.fill_between(OPEN_IN_PATH, CLOSE_IN_PATH, path.as_bytes(), escape)
    }

    fn value(&self, name: &str) -> Result<&str, SecretRefused> {
        let Bound { value, to } = self.secrets.bound(name)?;
        let origins = to.as_deref().unwrap_or_default();
        if to.is_some() && !origins.iter().any(|origin| origin.covers(self.origin)) {
            // The operator has said where it may go, and can say more.
            let all = origins.iter().chain([self.origin]);
            let all: Vec<String> = all.map(ToString::to_string).collect();
            return Err(SecretRefused::NotGranted(format!(
                "secrets.{name} = {{ from = …, to = {all:?} }}"
            )));
        }
        Ok(value)
    }

    fn fill_between(
        &self,
        open: &str,
        close: &str,
        text: &[u8],
        escape: impl Fn(&str) -> String,
    ) -> Result<Vec<u8>, SecretRefused> {
        let mut filled = Vec::with_capacity(text.len());
        let (mut rest, mut added) = (text, 0);
        while let Some(at) = find(rest, open) {
            let (before, named) = rest.split_at(at);
            filled.extend(before);
            let inside = &named[open.len()..];
            let name = find(inside, close).and_then(|end| name(&inside[..end]));
            match name {
                Some(name) => {
                    let value = escape(self.value(name)?);
                    added += value.len();
                    if added > FILLED_BYTES_MAX {
                        return Err(SecretRefused::Invalid(format!(
                            "its secrets take more than {} KiB: name each where it is needed",
                            FILLED_BYTES_MAX >> 10
                        )));
                    }
                    filled.extend(value.into_bytes());
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

/// Letters, digits and `_`: what can be a key in TOML.
pub fn is_secret_name(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// The secrets that a text names to be filled in, in order.
pub fn named_in(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split(OPEN).skip(1);
    after.filter_map(|rest| name(rest.split_once(CLOSE)?.0.as_bytes()))
}

fn is_armed(text: &[u8]) -> bool {
    let mut words = memmem::find_iter(text, WORD);
    words.any(|at| BRACES.iter().any(|brace| text[..at].ends_with(brace)))
}

fn disarmed(text: &[u8]) -> Vec<u8> {
    let mut disarmed = Vec::with_capacity(text.len() + 8);
    let mut from = 0;
    for at in memmem::find_iter(text, WORD) {
        disarmed.extend(&text[from..at]);
        if BRACES.iter().any(|brace| text[..at].ends_with(brace)) {
            disarmed.push(b' ');
        }
        from = at;
    }
    disarmed.extend(&text[from..]);
    disarmed
}

fn disarmed_text(text: &str) -> String {
    String::from_utf8(disarmed(text.as_bytes())).expect("text with spaces put in is text")
}

fn find(text: &[u8], what: &str) -> Option<usize> {
    memmem::find(text, what.as_bytes())
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
    use super::{GuestEvent, Origin, SecretValue, Secrets};
    use crate::model::Severity;

    fn secrets(to: Option<&str>) -> Secrets {
        let value = SecretValue {
            value: "s3cret-value".into(),
            to: to.map(|origin| vec![origin.to_owned()]),
        };
        Secrets::new([("TOKEN".to_owned(), value)]).expect("an origin")
    }

    fn fill_bound(text: &str, to: Option<&str>) -> Result<String, String> {
        let origin = Origin::parse("https://a.example").expect("an origin");
        let secrets = secrets(to);
        let filled = secrets.for_origin(&origin);
        let filled = filled.fill(text.as_bytes(), str::to_uppercase);
        let filled = filled.map_err(|refused| refused.to_string())?;
        Ok(String::from_utf8(filled).expect("UTF-8"))
    }

    fn fill(text: &str) -> Result<String, String> {
        fill_bound(text, None)
    }

    #[test]
    fn a_placeholder_is_filled_with_the_escaped_value() {
        let filled = fill("Bearer {secret:TOKEN}, {secret:TOKEN}").expect("filled");
        assert_eq!(filled, "Bearer S3CRET-VALUE, S3CRET-VALUE");
    }

    #[test]
    fn a_bound_secret_goes_to_its_origins_alone() {
        for to in [
            "https://a.example",
            "https://A.example:443",
            "https://*.example",
        ] {
            assert_eq!(
                fill_bound("{secret:TOKEN}", Some(to)).as_deref(),
                Ok("S3CRET-VALUE")
            );
        }
        for to in [
            "http://a.example",
            "https://a.example:8443",
            "https://b.example",
        ] {
            let refused = fill_bound("{secret:TOKEN}", Some(to)).expect_err("refused");
            let line =
                format!("secrets.TOKEN = {{ from = …, to = [\"{to}\", \"https://a.example\"] }}");
            assert_eq!(refused, format!("add {line}"));
        }
        let value = SecretValue {
            value: String::new(),
            to: Some(vec!["a.example".into()]),
        };
        let wrong = Secrets::new([("TOKEN".to_owned(), value)]);
        assert!(wrong.expect_err("no origin").contains("`a.example`"));
    }

    #[test]
    fn what_only_looks_like_a_placeholder_is_left_alone() {
        for text in ["{secret:", "{secret:a b}", "{secret:}", "{\"secret\":1}"] {
            assert_eq!(fill(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_secret_that_is_not_set_is_named_as_the_line_to_add() {
        let problem = fill("{secret:OTHER}").expect_err("not set");
        assert_eq!(problem, "add secrets.OTHER = \"env:OTHER\"");
        let problem = fill("{secret:a-b}").expect_err("no name");
        assert_eq!(problem, "`a-b` is no name of a secret");
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(format!("{:?}", secrets(None)), r#"{"TOKEN"}"#);
    }

    #[test]
    fn a_placeholder_in_an_event_is_data() {
        for placeholder in ["{secret:TOKEN}", "%7Bsecret:TOKEN%7D", "%7bsecret:TOKEN%7d"] {
            let event = GuestEvent {
                id: 1,
                kind: "deploy_log".into(),
                time: String::new(),
                node: String::new(),
                subject: "shop/prod".into(),
                severity: Severity::Info,
                actor: String::new(),
                cause: None,
                payload: format!(r#"{{"line":"{placeholder}"}}"#),
                annotations: "{}".into(),
            };
            let disarmed = secrets(None).disarm(&event).into_owned();
            assert!(
                !disarmed.payload.contains(placeholder),
                "{}",
                disarmed.payload
            );
            // Also for who has none: it would be refused as one that is not set.
            assert_eq!(Secrets::default().disarm(&event).into_owned(), disarmed);
        }
    }
}
