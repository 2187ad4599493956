use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::{
    events::{Filter, FrameParts},
    model::{EventType, When},
};

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
    /// `Err` says which glob is none.
    pub fn new(when: &When) -> Result<Self, globset::Error> {
        let kinds = globs(&when.types)?;
        let types = EventType::ALL.into_iter().filter(|kind| match &kinds {
            Some(globs) => {
                let named = when.types.iter().any(|name| name == kind.as_str());
                named || (globs.is_match(kind.as_str()) && !BY_NAME_ONLY.contains(kind))
            }
            None => !BY_NAME_ONLY.contains(kind),
        });
        Ok(Self {
            types: types.collect(),
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
    use super::*;

    fn types(names: &[&str]) -> Vec<EventType> {
        let when = When {
            types: names.iter().map(ToString::to_string).collect(),
            ..When::default()
        };
        Matcher::new(&when).expect("globs").types
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
