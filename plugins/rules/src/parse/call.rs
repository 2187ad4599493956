//! Operators and functions.

use cel::common::ast::{CallExpr, IdedExpr, operators};
use tiny_forge_plugin::Value;

use super::{Parsed, Refusal, expression, field, literal, refuse, truth};
use crate::evaluate::severity;
use crate::expression::{Comparison, Expression, Kind, TextTest};

pub(super) fn call(call: &CallExpr, id: u64) -> Parsed {
    let boxed = |expression| Ok(Box::new(expression));
    let condition = |node| truth(node).and_then(boxed);
    match (
        call.func_name.as_str(),
        call.target.as_deref(),
        call.args.as_slice(),
    ) {
        (operators::LOGICAL_AND, None, [left, right]) => {
            Ok(Expression::And(condition(left)?, condition(right)?))
        }
        (operators::LOGICAL_OR, None, [left, right]) => {
            Ok(Expression::Or(condition(left)?, condition(right)?))
        }
        (operators::LOGICAL_NOT, None, [of]) => Ok(Expression::Not(condition(of)?)),
        (operators::EQUALS, None, [left, right]) => compare(Comparison::Equal, left, right),
        (operators::NOT_EQUALS, None, [left, right]) => compare(Comparison::NotEqual, left, right),
        (operators::LESS, None, [left, right]) => compare(Comparison::Less, left, right),
        (operators::LESS_EQUALS, None, [left, right]) => {
            compare(Comparison::LessOrEqual, left, right)
        }
        (operators::GREATER, None, [left, right]) => compare(Comparison::Greater, left, right),
        (operators::GREATER_EQUALS, None, [left, right]) => {
            compare(Comparison::GreaterOrEqual, left, right)
        }
        (operators::IN, None, [item, all]) => contained(item, all),
        (operators::INDEX, None, [of, index]) => item(of, index, id),
        ("startsWith", Some(text), [part]) => text_test(TextTest::StartsWith, text, part),
        ("endsWith", Some(text), [part]) => text_test(TextTest::EndsWith, text, part),
        ("contains", Some(text), [part]) => text_test(TextTest::Contains, text, part),
        ("size", None, [of]) | ("size", Some(of), []) => size(of),
        (operators::NEGATE, None, [_]) => literal::negated(call, id).map(Expression::Literal),
        (name, ..) => refuse(id, remedy(name)),
    }
}

fn compare(comparison: Comparison, left: &IdedExpr, right: &IdedExpr) -> Parsed {
    let (of_left, of_right) = (expression(left)?, expression(right)?);
    severities(&of_left, &of_right, right.id)?;
    severities(&of_right, &of_left, left.id)?;
    Ok(Expression::Compare(
        comparison,
        of_left.into(),
        of_right.into(),
    ))
}

fn contained(item: &IdedExpr, all: &IdedExpr) -> Parsed {
    let (of_item, of_all) = (expression(item)?, expression(all)?);
    match of_all.kind() {
        Kind::List | Kind::Object | Kind::Open => {}
        kind => {
            let message = format!(
                "`in` looks into a list or an object, not into {}: use `text.contains(\"part\")`",
                kind.as_str()
            );
            return refuse(all.id, message);
        }
    }
    severities(&of_item, &of_all, all.id)?;
    Ok(Expression::In(of_item.into(), of_all.into()))
}

/// A misspelt severity would never be met.
fn severities(of: &Expression, with: &Expression, id: u64) -> Result<(), Refusal> {
    let words = match with {
        _ if of.kind() != Kind::Severity => return Ok(()),
        Expression::Literal(Value::Array(words)) => words.as_slice(),
        Expression::Literal(word) => std::slice::from_ref(word),
        _ => return Ok(()),
    };
    match words
        .iter()
        .find(|word| word.as_str().and_then(severity).is_none())
    {
        None => Ok(()),
        Some(word) => refuse(
            id,
            format!(
                "there is no severity {word}: use \"debug\", \"info\", \"warning\", \"error\" or \
                 \"critical\""
            ),
        ),
    }
}

/// `payload.log_tail[0]` and `payload["exit-code"]`.
fn item(of: &IdedExpr, index: &IdedExpr, id: u64) -> Parsed {
    let list = expression(of)?;
    match expression(index)? {
        Expression::Literal(Value::String(name)) => field(list, &name, id),
        Expression::Literal(Value::Number(place)) => match place.as_u64().map(usize::try_from) {
            Some(Ok(place)) => Ok(Expression::Item(Box::new(list), place)),
            _ => refuse(index.id, "items of a list are counted from 0"),
        },
        _ => refuse(
            index.id,
            "write a number or a text in quotes between the brackets",
        ),
    }
}

fn text_test(test: TextTest, text: &IdedExpr, part: &IdedExpr) -> Parsed {
    let of_text = |node: &IdedExpr| {
        let expression = expression(node)?;
        match expression.kind() {
            Kind::Text | Kind::Open => Ok(Box::new(expression)),
            kind => refuse(
                node.id,
                format!("{} is no text: compare it with `==` or `in`", kind.as_str()),
            ),
        }
    };
    Ok(Expression::Text(test, of_text(text)?, of_text(part)?))
}

fn size(of: &IdedExpr) -> Parsed {
    let expression = expression(of)?;
    match expression.kind() {
        Kind::Text | Kind::List | Kind::Object | Kind::Open => {
            Ok(Expression::Size(Box::new(expression)))
        }
        kind => refuse(
            of.id,
            format!("{} has no size: compare it itself", kind.as_str()),
        ),
    }
}

fn remedy(name: &str) -> String {
    match name {
        "matches" => "`matches` is not there in rules, so that each takes its time at most: use \
                      startsWith, endsWith and contains"
            .to_owned(),
        operators::CONDITIONAL => {
            "`? :` is not there in rules: write `a && b || !a && c`, or two rules".to_owned()
        }
        operators::ADD
        | operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO => {
            "rules do not calculate: compare with a number that is written out".to_owned()
        }
        "startsWith" | "endsWith" | "contains" => {
            format!("`{name}` is called on a text, with one part: `project.{name}(\"shop\")`")
        }
        "has" => "`has` takes one field: `has(payload.status)`".to_owned(),
        _ => format!(
            "there is no function `{name}`: rules have startsWith, endsWith, contains, size and has"
        ),
    }
}
