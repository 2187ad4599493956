//! A filter: keeps or drops events by rules of the operator. The first rule whose
//! expression holds decides. Time is linear in the event and the rules.

mod evaluate;
mod expression;
mod look;
mod parse;
mod rule;

use std::cell::OnceCell;

use serde::Deserialize;
use tiny_forge_plugin::{Decision, Description, Event, Fault, Filter, Plugin};

use look::{Look, Names};
use rule::{Rule, Verdict};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<Rule>,
    /// What happens to an event that no rule decides.
    #[serde(default)]
    otherwise: Verdict,
    #[serde(skip)]
    names: OnceCell<Names>,
}

impl Plugin for Rules {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }
}

impl Filter for Rules {
    fn filter(&mut self, event: &Event) -> Result<Decision, Fault> {
        let names = self
            .names
            .get_or_init(|| Names::of(self.rules.iter().map(Rule::condition)));
        let look = Look::new(event, names);
        let decisive = self.rules.iter().find(|rule| rule.decides(&look));
        Ok(match (decisive, self.otherwise) {
            (Some(rule), _) => rule.decision(),
            (None, Verdict::Keep) => Decision::Keep,
            (None, Verdict::Drop) => Decision::drop("no rule keeps it"),
        })
    }
}

tiny_forge_plugin::export_filter!(Rules);

#[cfg(test)]
mod tests;
