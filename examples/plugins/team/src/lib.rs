//! An enricher: adds the team that owns the event's project, so that later steps
//! and sinks can use it.

use std::collections::BTreeMap;

use serde::Deserialize;
use tiny_forge_plugin::{Description, Enricher, Event, Fault, Plugin, Value, json};

/// The `config` table of the plugin's TOML.
#[derive(Deserialize)]
struct Team {
    /// Project → team.
    owners: BTreeMap<String, String>,
    fallback: Option<String>,
}

impl Plugin for Team {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }
}

impl Enricher for Team {
    /// The object appears in the event's annotations under the plugin's name:
    /// `annotations.team.owner`.
    fn enrich(&mut self, event: &Event) -> Result<Option<Value>, Fault> {
        let Some(project) = event.project() else {
            return Ok(None);
        };
        let owner = self.owners.get(project).or(self.fallback.as_ref());
        Ok(owner.map(|owner| json!({ "owner": owner })))
    }
}

tiny_forge_plugin::export_enricher!(Team);

#[cfg(test)]
mod tests {
    use tiny_forge_plugin::{Enricher, Event, json, testing};

    use super::Team;

    #[test]
    fn a_project_gets_its_owner_and_the_engine_none() {
        let config = json!({"owners": {"shop": "checkout"}, "fallback": "platform"});
        let mut team: Team = testing::configure(&config).expect("valid");
        let mut owner = |subject| {
            let event = Event::new("deploy_log", subject, json!({}));
            team.enrich(&event).expect("no fault")
        };

        assert_eq!(
            owner("shop/prod/deploys/17"),
            Some(json!({"owner": "checkout"}))
        );
        assert_eq!(
            owner("blog/prod/deploys/3"),
            Some(json!({"owner": "platform"}))
        );
        assert_eq!(owner("engine"), None);
    }
}
