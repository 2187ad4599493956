//! From the text of a rule to what is evaluated. The grammar is CEL's; what rules do
//! not have of it is refused here, with what to write instead.

mod call;
mod literal;
mod place;

use cel::common::ast::{Expr, IdedExpr, SelectExpr};
use cel::parser::{ParseErrors, PrattParser};

use crate::expression::{Envelope, Expression, Kind};

/// In characters. What parsing takes stays far below the time that a plugin has to start,
/// and what the parser drops when it gives up fits on its stack.
const MAX_LENGTH: usize = 2_000;

/// Brackets within brackets: the stack of a guest is small.
const MAX_BRACKETS: u16 = 24;

/// What is made of chains such as `a.b.c.d` nests too.
const MAX_DEPTH: usize = 100;

const FIELDS: &str =
    "type, severity, subject, project, stage, instance, node, actor, payload and annotations";

/// A condition, or where the text is wrong and what would be right: `column 3: …`.
pub(crate) fn condition(text: &str) -> Result<Expression, String> {
    if text.chars().count() > MAX_LENGTH {
        return Err(format!(
            "column {MAX_LENGTH}: it goes on beyond {MAX_LENGTH} characters: make several rules of it"
        ));
    }
    let tree = parse(text).map_err(|errors| place::syntax(text, &errors))?;
    if depth(&tree) > MAX_DEPTH {
        // Dropping it would go as deep; this guest ends with the refusal anyway.
        std::mem::forget(tree);
        return Err("column 1: it nests too deeply: make several rules of it".to_owned());
    }
    truth(&tree).map_err(|Refusal { id, message }| format!("{}: {message}", place::of(text, id)))
}

fn parse(text: &str) -> Result<IdedExpr, ParseErrors> {
    PrattParser::new()
        .max_recursion_depth(MAX_BRACKETS)
        .error_recovery_limit(1)
        .parse(text)
}

/// Counted without recursion.
fn depth(tree: &IdedExpr) -> usize {
    let (mut deepest, mut todo) = (0, vec![(tree, 1)]);
    while let Some((node, depth)) = todo.pop() {
        deepest = deepest.max(depth);
        let below: Vec<&IdedExpr> = match &node.expr {
            Expr::Call(call) => call
                .target
                .as_deref()
                .into_iter()
                .chain(&call.args)
                .collect(),
            Expr::Select(select) => vec![&select.operand],
            Expr::List(list) => list.elements.iter().collect(),
            _ => Vec::new(),
        };
        todo.extend(below.into_iter().map(|node| (node, depth + 1)));
    }
    deepest
}

/// What is wrong with one node of the tree.
struct Refusal {
    id: u64,
    message: String,
}

type Parsed = Result<Expression, Refusal>;

fn refuse<T>(id: u64, message: impl Into<String>) -> Result<T, Refusal> {
    let message = message.into();
    Err(Refusal { id, message })
}

/// What is true or false, or may turn out to be.
fn truth(node: &IdedExpr) -> Parsed {
    let expression = expression(node)?;
    match expression.kind() {
        Kind::Truth | Kind::Open => Ok(expression),
        kind => {
            let message = format!(
                "{} is not true or false: compare it with something",
                kind.as_str()
            );
            refuse(node.id, message)
        }
    }
}

fn expression(node: &IdedExpr) -> Parsed {
    match &node.expr {
        Expr::Literal(value) => literal::value(value, node.id).map(Expression::Literal),
        Expr::List(list) => literal::list(list, node.id).map(Expression::Literal),
        Expr::Ident(name) => variable(name, node.id),
        Expr::Select(select) => selection(select, node.id),
        Expr::Call(of) => call::call(of, node.id),
        Expr::Comprehension(_) => refuse(
            node.id,
            "all, exists, exists_one, filter and map are not there in rules: look into a list \
             with `in`, or at one of its items as `list[0]`",
        ),
        Expr::Map(_) | Expr::Struct(_) => refuse(
            node.id,
            "an object cannot be written in a rule: compare its fields",
        ),
        Expr::Unspecified => refuse(node.id, "here an expression is missing"),
    }
}

fn variable(name: &str, id: u64) -> Parsed {
    Ok(match name {
        "type" => Expression::Envelope(Envelope::Type),
        "severity" => Expression::Envelope(Envelope::Severity),
        "subject" => Expression::Envelope(Envelope::Subject),
        "project" => Expression::Envelope(Envelope::Project),
        "stage" => Expression::Envelope(Envelope::Stage),
        "instance" => Expression::Envelope(Envelope::Instance),
        "node" => Expression::Envelope(Envelope::Node),
        "actor" => Expression::Envelope(Envelope::Actor),
        "payload" => Expression::Payload,
        "annotations" => Expression::Annotations,
        _ => {
            let message = format!(
                "there is no `{name}`: an event has {FIELDS}; a text stands in quotes: \"{name}\""
            );
            return refuse(id, message);
        }
    })
}

/// `payload.status` and `has(payload.status)`.
fn selection(select: &SelectExpr, id: u64) -> Parsed {
    let field = field(expression(&select.operand)?, &select.field, id)?;
    Ok(match select.test {
        true => Expression::Has(Box::new(field)),
        false => field,
    })
}

fn field(of: Expression, name: &str, id: u64) -> Parsed {
    match of.kind() {
        Kind::Object | Kind::Open => Ok(Expression::Field(Box::new(of), name.to_owned())),
        kind => refuse(
            id,
            format!(
                "{} has no field `{name}`: only payload and annotations have fields",
                kind.as_str()
            ),
        ),
    }
}
