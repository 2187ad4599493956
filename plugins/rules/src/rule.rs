use std::collections::BTreeMap;

use serde::Deserialize;
use tiny_forge_plugin::text::shorten;
use tiny_forge_plugin::{Decision, Value};

use crate::expression::Expression;
use crate::look::Look;
use crate::{evaluate, parse};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    #[default]
    Keep,
    Drop,
}

/// One rule of the operator's list.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Rule {
    verdict: Verdict,
    condition: Expression,
    /// What people read where it drops an event.
    reason: String,
}

impl Rule {
    pub(crate) const fn condition(&self) -> &Expression {
        &self.condition
    }

    pub(crate) fn decides(&self, look: &Look<'_>) -> bool {
        evaluate::holds(&self.condition, look)
    }

    pub(crate) fn decision(&self) -> Decision {
        match self.verdict {
            Verdict::Keep => Decision::Keep,
            Verdict::Drop => Decision::drop(&self.reason),
        }
    }
}

/// A rule as the operator writes it.
#[derive(Deserialize)]
struct Written {
    keep_if: Option<String>,
    drop_if: Option<String>,
    reason: Option<String>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl Written {
    /// What else stands in the rule, and how to write it.
    fn misplaced(&self) -> Option<String> {
        let (other, _) = self.others.first_key_value()?;
        Some(match other.as_str() {
            "name" | "then" | "all" | "any" | "none" => self.new_spelling(),
            _ => format!("a rule has `keep_if` or `drop_if`, and `reason`, but no `{other}`"),
        })
    }

    /// Before there were expressions, a rule had lists of conditions.
    fn new_spelling(&self) -> String {
        let text = |key: &str| self.others.get(key).and_then(Value::as_str);
        let key = match text("then") {
            Some("keep") => "keep_if",
            _ => "drop_if",
        };
        let reason = text("name").unwrap_or("planned");
        format!(
            "name, then, all, any and none have become one expression: \
             {{ {key} = 'payload.planned == true && stage in [\"dev\", \"test\"]', reason = {reason:?} }}"
        )
    }
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        if let Some(misplaced) = written.misplaced() {
            return Err(misplaced);
        }
        let (verdict, key, text) = match (written.keep_if, written.drop_if) {
            (Some(text), None) => (Verdict::Keep, "keep_if", text),
            (None, Some(text)) => (Verdict::Drop, "drop_if", text),
            (Some(_), Some(_)) | (None, None) => {
                return Err("a rule has either `keep_if` or `drop_if`".to_owned());
            }
        };
        let reason = written.reason.unwrap_or_else(|| text.clone());
        let condition = parse::condition(&text)
            .map_err(|error| format!("`{key}` of the rule `{}`, {error}", shorten(&reason, 60)))?;
        Ok(Self {
            verdict,
            condition,
            reason,
        })
    }
}
