use cel::common::ast::{CallExpr, Expr, IdedExpr, ListExpr, LiteralValue, operators};
use tiny_forge_plugin::{Value, json};

use super::{Refusal, refuse};

pub(super) fn value(literal: &LiteralValue, id: u64) -> Result<Value, Refusal> {
    Ok(match literal {
        LiteralValue::Boolean(truth) => json!(*truth.inner()),
        LiteralValue::Int(whole) => json!(*whole.inner()),
        LiteralValue::UInt(whole) => json!(*whole.inner()),
        LiteralValue::Double(real) => json!(*real.inner()),
        LiteralValue::String(text) => json!(text.inner()),
        LiteralValue::Null => {
            return refuse(
                id,
                "null counts as absent: test with `has(payload.field)` or `!has(payload.field)`",
            );
        }
        LiteralValue::Bytes(_) => return refuse(id, "bytes do not occur in events: write a text"),
    })
}

/// A list of literals.
pub(super) fn list(list: &ListExpr, id: u64) -> Result<Value, Refusal> {
    if !list.optional_indices.is_empty() {
        return refuse(id, "`?` is not there in rules");
    }
    list.elements.iter().map(item).collect()
}

fn item(node: &IdedExpr) -> Result<Value, Refusal> {
    match &node.expr {
        Expr::Literal(literal) => value(literal, node.id),
        Expr::Call(call) => negated(call, node.id),
        _ => refuse(node.id, "a list holds texts, numbers, true and false only"),
    }
}

/// `-1.5`, where the parser has not made one number of it.
pub(super) fn negated(call: &CallExpr, id: u64) -> Result<Value, Refusal> {
    if let (operators::NEGATE, [of]) = (call.func_name.as_str(), call.args.as_slice()) {
        match &of.expr {
            Expr::Literal(LiteralValue::Int(whole)) if *whole.inner() != i64::MIN => {
                return Ok(json!(-whole.inner()));
            }
            Expr::Literal(LiteralValue::Double(real)) => return Ok(json!(-real.inner())),
            _ => {}
        }
    }
    refuse(
        id,
        "rules do not calculate: compare with a number that is written out",
    )
}
