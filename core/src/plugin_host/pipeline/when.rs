use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::{
    events::{Filter, FrameParts},
    model::{EventType, When},
};

/// Why a `when` is none.
#[derive(Debug, thiserror::Error)]
pub enum WhenError {
    #[error(transparent)]
    Glob(#[from] globset::Error),
    #[error(
        "no event type is called `{named}`, there are: {}; of these, {} are only let in by \
         their full names",
        names(&EventType::ALL), names(&BY_NAME_ONLY)
    )]
    NoType { named: String },
}

/// A compiled `when`.
#[derive(Debug)]
pub struct Matcher {
    types: Vec<EventType>,
    project: Option<GlobSet>,
    stage: Option<GlobSet>,
    instance: Option<GlobSet>,
    min_severity: Option<crate::model::Severity>,
}

/// What plugins cause themselves, and log lines: only for who names them.
const BY_NAME_ONLY: [EventType; 4] = [
    EventType::DeployLog,
    EventType::EventAnnotated,
    EventType::PluginStatus,
    EventType::DeliveryStatus,
];

impl Matcher {
    pub fn new(when: &When) -> Result<Self, WhenError> {
        Ok(Self {
            types: types(&when.types)?,
            project: globs(&when.project)?,
            stage: globs(&when.stage)?,
            instance: globs(&when.instance)?,
            min_severity: when.severity,
        })
    }

    /// What the journal can sort out by itself.
    pub fn filter(&self) -> Filter {
        Filter {
            types: self.types.clone(),
            min_severity: self.min_severity,
            ..Filter::default()
        }
    }

    /// The rest of the condition.
    pub fn matches(&self, parts: &FrameParts<'_>) -> bool {
        one_of(&self.project, parts.project)
            && one_of(&self.stage, parts.stage)
            && one_of(&self.instance, parts.instance)
    }
}

/// No list comes to none: that would be read as all of them.
fn types(named: &[String]) -> Result<Vec<EventType>, WhenError> {
    let mut wanted: Vec<EventType> = Vec::new();
    for text in named {
        let glob = Glob::new(text)?.compile_matcher();
        let lets_in = |kind: &EventType| {
            text == kind.as_str() || (glob.is_match(kind.as_str()) && !BY_NAME_ONLY.contains(kind))
        };
        let found: Vec<EventType> = EventType::ALL.into_iter().filter(lets_in).collect();
        if found.is_empty() {
            let named = text.clone();
            return Err(WhenError::NoType { named });
        }
        wanted.extend(found);
    }
    let is_wanted = |kind: &EventType| match named {
        [] => !BY_NAME_ONLY.contains(kind),
        _ => wanted.contains(kind),
    };
    Ok(EventType::ALL.into_iter().filter(is_wanted).collect())
}

fn names(kinds: &[EventType]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    names.join(", ")
}

fn globs(texts: &[String]) -> Result<Option<GlobSet>, globset::Error> {
    if texts.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(Glob::new(text)?);
    }
    set.build().map(Some)
}

fn one_of(globs: &Option<GlobSet>, found: Option<&str>) -> bool {
    globs
        .as_ref()
        .is_none_or(|globs| found.is_some_and(|found| globs.is_match(found)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::samples::parts, *};

    fn types(names: &[&str]) -> Vec<EventType> {
        let when = When {
            types: names.iter().map(ToString::to_string).collect(),
            ..When::default()
        };
        Matcher::new(&when).expect("globs").types
    }

    #[test]
    fn an_event_passes_where_all_that_is_asked_for_is_so() {
        let event = FrameParts {
            project: Some("shop"),
            stage: Some("prod"),
            instance: Some("shop-prod-1-0"),
            ..parts(0)
        };
        let of_nothing = parts(0);
        for (when, of_shop, without_names) in [
            (json!({}), true, true),
            (json!({"project": ["shop"]}), true, false),
            (json!({"project": ["sh*"]}), true, false),
            (json!({"project": ["sho"]}), false, false),
            (json!({"project": ["blog", "*op"]}), true, false),
            (json!({"project": ["blog", "{news,wiki}"]}), false, false),
            (json!({"project": ["*"]}), true, false),
            (json!({"stage": ["prod"]}), true, false),
            (json!({"stage": ["pr[a-e]*"]}), false, false),
            (json!({"stage": ["test", "p???"]}), true, false),
            (json!({"instance": ["shop-*-0"]}), true, false),
            (json!({"instance": ["shop-*-1"]}), false, false),
            (
                json!({"project": ["shop"], "stage": ["test"]}),
                false,
                false,
            ),
            (
                json!({"project": ["shop"], "stage": ["prod"], "instance": ["*"]}),
                true,
                false,
            ),
            // The event is an error.
            (json!({"severity": "warning"}), true, true),
            (json!({"severity": "error"}), true, true),
            (json!({"severity": "critical"}), false, false),
            (json!({"type": ["instance_status"]}), true, true),
            (json!({"type": ["deploy_status", "instance_*"]}), true, true),
            (json!({"type": ["deploy_status"]}), false, false),
            (
                json!({"type": ["instance_status"], "severity": "critical"}),
                false,
                false,
            ),
            (
                json!({"type": ["instance_status"], "project": ["shop"]}),
                true,
                false,
            ),
        ] {
            let wanted: When = serde_json::from_value(when.clone()).expect("a condition");
            let matcher = Matcher::new(&wanted).expect("globs");
            let passes =
                |parts: &FrameParts<'_>| matcher.filter().matches(parts) && matcher.matches(parts);
            assert_eq!(passes(&event), of_shop, "{when}");
            assert_eq!(passes(&of_nothing), without_names, "{when}");
        }
    }

    #[test]
    fn what_matches_no_type_lets_in_nothing_and_says_so() {
        for named in ["plugin_*", "deploy_l*", "deploy_statu"] {
            let when = When {
                types: vec!["system".to_owned(), named.to_owned()],
                ..When::default()
            };
            let refused = Matcher::new(&when).expect_err("no type").to_string();
            assert!(refused.contains(&format!("`{named}`")), "{refused}");
            assert!(refused.ends_with("delivery_status are only let in by their full names"));
        }
    }

    #[test]
    fn what_plugins_cause_comes_only_to_who_names_it() {
        assert!(!types(&[]).contains(&EventType::DeliveryStatus));
        assert!(!types(&["*"]).contains(&EventType::DeployLog));
        assert_eq!(types(&["delivery_status"]), [EventType::DeliveryStatus]);
        assert_eq!(
            types(&["*_status", "deploy_log"]),
            [
                EventType::DeployLog,
                EventType::DeployStatus,
                EventType::InstanceStatus,
                EventType::ProjectStatus
            ]
        );
    }
}
