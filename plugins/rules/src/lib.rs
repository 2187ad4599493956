//! A filter: keeps or drops events by rules of the operator. The first rule that
//! matches decides. Time is linear in the event and the rules.

mod condition;
mod glob;

use serde::Deserialize;
use tiny_forge_plugin::{Decision, Description, Event, Fault, FieldError, Filter, Plugin};

use condition::Condition;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<Rule>,
    /// What happens to an event that no rule matches.
    #[serde(default)]
    otherwise: Verdict,
}

/// Matches where all of `all` hold, one of `any`, and none of `none`; a list that
/// is left out asks for nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    then: Verdict,
    #[serde(default)]
    all: Vec<Condition>,
    #[serde(default)]
    any: Vec<Condition>,
    #[serde(default)]
    none: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    #[default]
    Keep,
    Drop,
}

impl Rule {
    fn matches(&self, event: &Event) -> bool {
        let holds = |condition: &Condition| condition.holds(event);
        self.all.iter().all(holds)
            && (self.any.is_empty() || self.any.iter().any(holds))
            && !self.none.iter().any(holds)
    }

    fn is_unconditional(&self) -> bool {
        self.all.is_empty() && self.any.is_empty() && self.none.is_empty()
    }
}

impl Plugin for Rules {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }

    fn check(&self) -> Vec<FieldError> {
        let unconditional = self.rules.iter().enumerate();
        unconditional
            .filter(|(_, rule)| rule.is_unconditional())
            .map(|(index, _)| {
                let message = "has no condition: give it `all`, `any` or `none`, \
                               or use `otherwise` for all other events";
                FieldError::new(format!("/rules/{index}"), message)
            })
            .collect()
    }
}

impl Filter for Rules {
    fn filter(&mut self, event: &Event) -> Result<Decision, Fault> {
        let decisive = self.rules.iter().find(|rule| rule.matches(event));
        Ok(match (decisive, self.otherwise) {
            (Some(rule), _) if rule.then == Verdict::Drop => {
                Decision::drop(format!("rule `{}` drops it", rule.name))
            }
            (Some(_), _) | (None, Verdict::Keep) => Decision::Keep,
            (None, Verdict::Drop) => Decision::drop("no rule keeps it"),
        })
    }
}

tiny_forge_plugin::export_filter!(Rules);

#[cfg(test)]
mod tests;
