//! An enricher: what an image says about itself in its labels, as facts for people:
//! its version, the commit that it was built from, and a link to that commit.

mod source;

use std::collections::BTreeMap;

use serde::Deserialize;
use tiny_forge_plugin::{Description, Enricher, Event, Fault, Plugin, Value};

use source::{Forge, Source};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageInfo {
    /// Host → what runs there, besides the well-known ones.
    #[serde(default)]
    forges: BTreeMap<String, Forge>,
}

/// As much of a payload as matters here: deploys and instances have it.
#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    image_labels: Labels,
}

#[derive(Default, Deserialize)]
struct Labels {
    created: Option<String>,
    revision: Option<String>,
    source: Option<String>,
    title: Option<String>,
    version: Option<String>,
}

impl Plugin for ImageInfo {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }
}

impl Enricher for ImageInfo {
    fn enrich(&mut self, event: &Event) -> Result<Option<Value>, Fault> {
        // Other types of events may have anything in its place.
        let labels = match event.payload::<Payload>() {
            Ok(payload) => payload.image_labels,
            Err(_) => return Ok(None),
        };
        let facts = self.facts(labels);
        Ok((!facts.is_empty()).then(|| facts.into_iter().collect()))
    }
}

impl ImageInfo {
    fn facts(&self, labels: Labels) -> Vec<(String, Value)> {
        let source = labels.source.as_deref().and_then(Source::parse);
        let commit_url = match (&source, &labels.revision) {
            (Some(source), Some(revision)) => source.commit_url(revision, &self.forges),
            _ => None,
        };
        let facts = [
            ("built", labels.created),
            ("commit", labels.revision.as_deref().map(short)),
            ("commit_url", commit_url),
            ("source", source.map(|source| source.url())),
            ("title", labels.title),
            ("version", labels.version),
        ];
        let known = facts.into_iter();
        known
            .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))))
            .collect()
    }
}

/// A commit as people write it; anything else as it is.
fn short(revision: &str) -> String {
    match source::is_commit(revision) {
        true => revision[..7].to_owned(),
        false => revision.to_owned(),
    }
}

tiny_forge_plugin::export_enricher!(ImageInfo);

#[cfg(test)]
mod tests;
