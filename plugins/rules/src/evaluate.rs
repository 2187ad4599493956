//! Each part of an expression is looked at once, each test takes time linear in what
//! it compares, and nothing is repeated: there are no loops in the language.

use std::cmp::Ordering;

use tiny_forge_plugin::{Event, Severity, Value};

use crate::expression::{Comparison, Envelope, Expression, TextTest};
use crate::look::Look;

/// Whether the condition is known to hold for the event.
pub(crate) fn holds(condition: &Expression, look: &Look<'_>) -> bool {
    truth(condition, look) == Some(true)
}

/// A part of an event, or what was made of one. `None` stands for unknown: a field that
/// the event lacks, or a comparison of what does not compare.
#[derive(Debug, Clone, Copy)]
enum Found<'a> {
    Truth(bool),
    Number(Number),
    Text(&'a str),
    Severity(Severity),
    List(&'a [Value]),
    Object(&'a Value),
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Whole(i128),
    Real(f64),
}

fn truth(expression: &Expression, look: &Look<'_>) -> Option<bool> {
    match find(expression, look)? {
        Found::Truth(truth) => Some(truth),
        _ => None,
    }
}

fn find<'a>(expression: &'a Expression, look: &'a Look<'_>) -> Option<Found<'a>> {
    match expression {
        Expression::Literal(value) => found(value),
        Expression::Envelope(field) => Some(envelope(*field, look.event)),
        Expression::Payload => found(look.payload()),
        Expression::Annotations => found(look.annotations()),
        Expression::Field(of, name) => match find(of, look)? {
            Found::Object(object) => found(object.get(name)?),
            _ => None,
        },
        Expression::Item(of, index) => match find(of, look)? {
            Found::List(items) => found(items.get(*index)?),
            _ => None,
        },
        Expression::Has(field) => Some(Found::Truth(find(field, look).is_some())),
        Expression::Not(of) => truth(of, look).map(|truth| Found::Truth(!truth)),
        Expression::And(left, right) => both(left, right, look, false),
        Expression::Or(left, right) => both(left, right, look, true),
        Expression::Compare(comparison, left, right) => {
            let (left, right) = (find(left, look)?, find(right, look)?);
            compare(*comparison, left, right).map(Found::Truth)
        }
        Expression::In(item, all) => {
            let (item, all) = (find(item, look)?, find(all, look)?);
            contains(all, item).map(Found::Truth)
        }
        Expression::Text(test, text, part) => match (find(text, look)?, find(part, look)?) {
            (Found::Text(text), Found::Text(part)) => Some(Found::Truth(match test {
                TextTest::StartsWith => text.starts_with(part),
                TextTest::EndsWith => text.ends_with(part),
                TextTest::Contains => text.contains(part),
            })),
            _ => None,
        },
        Expression::Size(of) => size(find(of, look)?),
    }
}

/// `&&` and `||`: one side that decides makes up for another that is unknown.
fn both<'a>(
    left: &Expression,
    right: &Expression,
    look: &Look<'_>,
    decisive: bool,
) -> Option<Found<'a>> {
    let left = truth(left, look);
    if left == Some(decisive) {
        return Some(Found::Truth(decisive));
    }
    let right = truth(right, look)?;
    (right == decisive || left.is_some()).then_some(Found::Truth(right))
}

/// Null counts as absent.
fn found(value: &Value) -> Option<Found<'_>> {
    match value {
        Value::Null => None,
        Value::Bool(truth) => Some(Found::Truth(*truth)),
        Value::Number(number) => Some(Found::Number(
            match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(whole), _, _) => Number::Whole(whole.into()),
                (None, Some(whole), _) => Number::Whole(whole.into()),
                (None, None, real) => Number::Real(real?),
            },
        )),
        Value::String(text) => Some(Found::Text(text)),
        Value::Array(items) => Some(Found::List(items)),
        Value::Object(_) => Some(Found::Object(value)),
    }
}

fn envelope(field: Envelope, event: &Event) -> Found<'_> {
    match field {
        Envelope::Type => Found::Text(&event.kind),
        Envelope::Severity => Found::Severity(event.severity),
        Envelope::Subject => Found::Text(&event.subject),
        Envelope::Project => Found::Text(event.project().unwrap_or_default()),
        Envelope::Stage => Found::Text(event.stage().unwrap_or_default()),
        Envelope::Instance => Found::Text(event.instance().unwrap_or_default()),
        Envelope::Node => Found::Text(&event.node),
        Envelope::Actor => Found::Text(&event.actor),
    }
}

/// What does not compare is not equal, and is in no order.
fn compare(comparison: Comparison, left: Found<'_>, right: Found<'_>) -> Option<bool> {
    match comparison {
        Comparison::Equal => Some(equal(left, right)),
        Comparison::NotEqual => Some(!equal(left, right)),
        Comparison::Less => order(left, right).map(Ordering::is_lt),
        Comparison::LessOrEqual => order(left, right).map(Ordering::is_le),
        Comparison::Greater => order(left, right).map(Ordering::is_gt),
        Comparison::GreaterOrEqual => order(left, right).map(Ordering::is_ge),
    }
}

fn equal(left: Found<'_>, right: Found<'_>) -> bool {
    match (left, right) {
        (Found::Truth(left), Found::Truth(right)) => left == right,
        (Found::List(left), Found::List(right)) => left == right,
        (Found::Object(left), Found::Object(right)) => left == right,
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

fn order(left: Found<'_>, right: Found<'_>) -> Option<Ordering> {
    match (left, right) {
        (Found::Number(left), Found::Number(right)) => left.order(right),
        (Found::Text(left), Found::Text(right)) => Some(left.cmp(right)),
        (Found::Severity(left), Found::Severity(right)) => Some(left.cmp(&right)),
        (Found::Severity(left), Found::Text(right)) => Some(left.cmp(&severity(right)?)),
        (Found::Text(left), Found::Severity(right)) => Some(severity(left)?.cmp(&right)),
        _ => None,
    }
}

impl Number {
    /// 1 and 1.0 are equal.
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            (left, right) => left.real().partial_cmp(&right.real()),
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "compared with what is no more precise"
    )]
    const fn real(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

/// The severity that a word means.
pub(crate) fn severity(word: &str) -> Option<Severity> {
    const ALL: [Severity; 5] = [
        Severity::Debug,
        Severity::Info,
        Severity::Warning,
        Severity::Error,
        Severity::Critical,
    ];
    ALL.into_iter().find(|severity| severity.as_str() == word)
}

fn contains(all: Found<'_>, item: Found<'_>) -> Option<bool> {
    match (all, item) {
        (Found::List(items), item) => {
            let mut items = items.iter().filter_map(found);
            Some(items.any(|one| equal(one, item)))
        }
        (Found::Object(object), Found::Text(key)) => {
            Some(object.get(key).is_some_and(|value| !value.is_null()))
        }
        _ => None,
    }
}

/// Characters of a text, items of a list, keys of an object.
fn size(of: Found<'_>) -> Option<Found<'_>> {
    let size = match of {
        Found::Text(text) => text.chars().count(),
        Found::List(items) => items.len(),
        Found::Object(object) => object.as_object()?.len(),
        Found::Truth(_) | Found::Number(_) | Found::Severity(_) => return None,
    };
    Some(Found::Number(Number::Whole(i128::try_from(size).ok()?)))
}
