//! An event as rules look at it. Most of a payload is no rule's business: only the fields
//! that rules name are made values of, and only where a rule gets to them.

use std::{cell::OnceCell, collections::BTreeSet, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Map;
use tiny_forge_plugin::{Event, Value};

use crate::expression::Expression;

/// Which fields of payload and annotations rules name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    payload: Fields,
    annotations: Fields,
}

#[derive(Debug)]
enum Fields {
    Named(BTreeSet<String>),
    All,
}

pub(crate) struct Look<'a> {
    pub(crate) event: &'a Event,
    names: &'a Names,
    payload: OnceCell<Value>,
    annotations: OnceCell<Value>,
}

impl<'a> Look<'a> {
    pub(crate) const fn new(event: &'a Event, names: &'a Names) -> Self {
        Self {
            event,
            names,
            payload: OnceCell::new(),
            annotations: OnceCell::new(),
        }
    }

    pub(crate) fn payload(&self) -> &Value {
        let read = || self.names.payload.read(self.event.payload_text());
        self.payload.get_or_init(read)
    }

    pub(crate) fn annotations(&self) -> &Value {
        let read = || self.names.annotations.read(self.event.annotations_text());
        self.annotations.get_or_init(read)
    }
}

impl Names {
    pub(crate) fn of<'e>(conditions: impl Iterator<Item = &'e Expression>) -> Self {
        let mut names = Self::default();
        conditions.for_each(|condition| names.add(condition));
        names
    }

    fn add(&mut self, expression: &Expression) {
        match expression {
            Expression::Field(of, name) => match &**of {
                Expression::Payload => self.payload.add(name),
                Expression::Annotations => self.annotations.add(name),
                other => self.add(other),
            },
            // As a whole: its size, whether it has some field.
            Expression::Payload => self.payload = Fields::All,
            Expression::Annotations => self.annotations = Fields::All,
            Expression::Literal(_) | Expression::Envelope(_) => {}
            Expression::Item(of, _)
            | Expression::Has(of)
            | Expression::Not(of)
            | Expression::Size(of) => self.add(of),
            Expression::And(left, right)
            | Expression::Or(left, right)
            | Expression::Compare(_, left, right)
            | Expression::In(left, right)
            | Expression::Text(_, left, right) => {
                self.add(left);
                self.add(right);
            }
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl Fields {
    fn add(&mut self, name: &str) {
        if let Self::Named(names) = self
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }
    }

    /// Null where the text is no object, which the contract rules out.
    fn read(&self, text: &str) -> Value {
        self.deserialize(&mut serde_json::Deserializer::from_str(text))
            .map_or(Value::Null, Value::Object)
    }
}

impl<'de> DeserializeSeed<'de> for &Fields {
    type Value = Map<String, Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut named = Map::new();
        while let Some(name) = members.next_key_seed(Name(self))? {
            match name {
                Some(name) => drop(named.insert(name, members.next_value()?)),
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(named)
    }
}

/// The name of a member, if it is one of those.
struct Name<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let is_wanted = match self.0 {
            Fields::All => true,
            Fields::Named(names) => names.contains(name),
        };
        Ok(is_wanted.then(|| name.to_owned()))
    }
}
