use serde::Deserialize;
use tiny_forge_plugin::{Event, Severity, Value};

use crate::glob::Glob;

/// One field of an event and what is asked of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Condition {
    field: Field,
    test: Test,
}

impl Condition {
    /// A field that an event lacks passes no test but `exists = false`.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        self.field.of(event, |value| self.test.passes(value))
    }
}

/// A condition as the operator writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    field: String,
    equals: Option<Value>,
    one_of: Option<Vec<Value>>,
    contains: Option<Value>,
    matches: Option<String>,
    at_least: Option<Bound>,
    at_most: Option<Bound>,
    exists: Option<bool>,
}

impl TryFrom<Written> for Condition {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let tests = [
            written.equals.map(Test::Equals),
            written.one_of.map(Test::OneOf),
            written.contains.map(Test::Contains),
            written.matches.map(|glob| Test::Matches(Glob::new(&glob))),
            written.at_least.map(Test::AtLeast),
            written.at_most.map(Test::AtMost),
            written.exists.map(Test::Exists),
        ];
        let mut tests = tests.into_iter().flatten();
        match (tests.next(), tests.next()) {
            (Some(test), None) => Ok(Self {
                field: Field::parse(&written.field)?,
                test,
            }),
            _ => Err(format!(
                "the condition on `{}` needs exactly one of equals, one_of, contains, matches, \
                 at_least, at_most, exists",
                written.field
            )),
        }
    }
}

/// Where to look in an event.
#[derive(Debug)]
enum Field {
    Type,
    Severity,
    Subject,
    Project,
    Stage,
    Instance,
    Node,
    Actor,
    Payload(Vec<String>),
    Annotations(Vec<String>),
}

impl Field {
    fn parse(text: &str) -> Result<Self, String> {
        let path = |path: &str| path.split('.').map(str::to_owned).collect();
        Ok(match text {
            "type" => Self::Type,
            "severity" => Self::Severity,
            "subject" => Self::Subject,
            "project" => Self::Project,
            "stage" => Self::Stage,
            "instance" => Self::Instance,
            "node" => Self::Node,
            "actor" => Self::Actor,
            _ => match text.split_once('.') {
                Some(("payload", rest)) => Self::Payload(path(rest)),
                Some(("annotations", rest)) => Self::Annotations(path(rest)),
                _ => {
                    return Err(format!(
                        "there is no field `{text}`: use type, severity, subject, project, stage, \
                         instance, node, actor, payload.… or annotations.…"
                    ));
                }
            },
        })
    }

    fn of<T>(&self, event: &Event, then: impl FnOnce(Option<&Value>) -> T) -> T {
        let text = |text: &str| Some(Value::from(text));
        let owned = match self {
            Self::Payload(path) => return then(walk(event.payload_json(), path)),
            Self::Annotations(path) => return then(walk(event.annotations(), path)),
            Self::Type => text(&event.kind),
            Self::Severity => text(event.severity.as_str()),
            Self::Subject => text(&event.subject),
            Self::Project => event.project().map(Value::from),
            Self::Stage => event.stage().map(Value::from),
            Self::Instance => event.instance().map(Value::from),
            Self::Node => text(&event.node),
            Self::Actor => text(&event.actor),
        };
        then(owned.as_ref())
    }
}

fn walk<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter()
        .try_fold(root, |value, key| match value {
            Value::Array(items) => items.get(key.parse::<usize>().ok()?),
            other => other.get(key),
        })
        .filter(|value| !value.is_null())
}

#[derive(Debug)]
enum Test {
    Equals(Value),
    OneOf(Vec<Value>),
    Contains(Value),
    Matches(Glob),
    AtLeast(Bound),
    AtMost(Bound),
    Exists(bool),
}

impl Test {
    fn passes(&self, value: Option<&Value>) -> bool {
        let Some(value) = value else {
            return matches!(self, Self::Exists(false));
        };
        match self {
            Self::Equals(wanted) => equal(value, wanted),
            Self::OneOf(wanted) => wanted.iter().any(|wanted| equal(value, wanted)),
            Self::Contains(part) => contains(value, part),
            Self::Matches(glob) => value.as_str().is_some_and(|text| glob.matches(text)),
            Self::AtLeast(bound) => bound.compare(value).is_some_and(|order| order.is_ge()),
            Self::AtMost(bound) => bound.compare(value).is_some_and(|order| order.is_le()),
            Self::Exists(wanted) => *wanted,
        }
    }
}

/// 1 and 1.0 are equal, unlike in JSON libraries.
fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// A part of a text, or an item of a list.
fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Array(items), part) => items.iter().any(|item| equal(item, part)),
        _ => false,
    }
}

/// What `at_least` and `at_most` compare with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "expected a number or a severity")]
enum Bound {
    Severity(Severity),
    Number(f64),
}

impl Bound {
    /// How the value stands to the bound; `None` where they do not compare.
    fn compare(self, value: &Value) -> Option<std::cmp::Ordering> {
        match self {
            Self::Number(bound) => value.as_f64()?.partial_cmp(&bound),
            Self::Severity(bound) => Severity::deserialize(value).ok().map(|of| of.cmp(&bound)),
        }
    }
}
