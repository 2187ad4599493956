use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    events::FrameParts, model::Timestamp, plugin_host::sandbox::GuestEvent,
    store::ONCE_KEYS_MAX as KEYS_MAX,
};

const MEMBERS: [&str; 8] = [
    "type", "severity", "subject", "project", "stage", "instance", "node", "actor",
];

/// Of events that agree in some of their members, one passes in a cooldown.
///
/// Only the times of events count, not when they are decided: so it decides the
/// same when it decides again.
#[derive(Debug)]
pub struct OncePer {
    /// Checked.
    paths: Vec<String>,
    cooldown: Duration,
    /// When the last event with this key passed.
    passed: HashMap<String, Timestamp>,
    /// What of it is not stored yet.
    news: Vec<(String, Timestamp)>,
}

impl OncePer {
    /// `known` is what was stored.
    pub(super) fn new(
        paths: Vec<String>,
        cooldown: Duration,
        known: Vec<(String, Timestamp)>,
    ) -> Self {
        Self {
            paths,
            cooldown,
            passed: known.into_iter().collect(),
            news: Vec::new(),
        }
    }

    /// A member of an event, or `payload.…` or `annotations.…` with names.
    pub fn check_path(path: &str) -> Result<(), String> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let is_deep = ["payload", "annotations"].contains(&first)
            && !rest.is_empty()
            && rest.split('.').all(|name| !name.is_empty());
        if is_deep || (rest.is_empty() && MEMBERS.contains(&path)) {
            return Ok(());
        }
        let members = MEMBERS.join(", ");
        Err(format!(
            "`{path}` is no part of an event: use {members}, payload.NAME or annotations.PLUGIN.NAME"
        ))
    }

    /// Why the event does not pass, if it does not.
    pub(super) fn ask(&mut self, event: &GuestEvent, parts: &FrameParts<'_>) -> Option<String> {
        let (key, time) = (self.key(event, parts), parts.time);
        if let Some(last) = self.passed.get(&key)
            && time >= *last
            && u128::from(time.ms_since(*last)) < self.cooldown.as_millis()
        {
            let per = self.paths.join(", ");
            let cooldown = self.cooldown.as_secs();
            return Some(format!(
                "one passed at {last}: once per {per} in {cooldown} s"
            ));
        }
        self.passed.insert(key.clone(), time);
        self.news.push((key, time));
        if self.passed.len() > KEYS_MAX {
            self.forget(time);
        }
        None
    }

    /// What has to be stored with the events that were decided.
    pub(super) fn take_news(&mut self) -> Vec<(String, Timestamp)> {
        std::mem::take(&mut self.news)
    }

    pub(super) fn cooldown(&self) -> Duration {
        self.cooldown
    }

    /// What is over, and the older half where that is not enough.
    fn forget(&mut self, now: Timestamp) {
        let cooldown = self.cooldown.as_millis();
        self.passed
            .retain(|_, last| u128::from(now.ms_since(*last)) < cooldown);
        if self.passed.len() > KEYS_MAX {
            let mut times: Vec<Timestamp> = self.passed.values().copied().collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.passed.retain(|_, last| *last > middle);
        }
    }

    /// Short, whatever is in the event; of other paths another one.
    fn key(&self, event: &GuestEvent, parts: &FrameParts<'_>) -> String {
        let mut hash = Sha256::new();
        for path in &self.paths {
            for text in [path.as_str(), &found(event, parts, path)] {
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
        }
        hex::encode(&hash.finalize()[..16])
    }
}

/// Empty where there is no such thing.
fn found(event: &GuestEvent, parts: &FrameParts<'_>, path: &str) -> String {
    let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match first {
        "type" => event.kind.clone(),
        "subject" => event.subject.clone(),
        "severity" => event.severity.as_str().to_owned(),
        "node" => event.node.clone(),
        "actor" => event.actor.clone(),
        "project" => name(parts.project),
        "stage" => name(parts.stage),
        "instance" => name(parts.instance),
        "payload" => deep(&event.payload, rest),
        _ => deep(&event.annotations, rest),
    }
}

fn deep(json: &str, path: &str) -> String {
    let whole: Value = serde_json::from_str(json).unwrap_or_default();
    let part = path
        .split('.')
        .try_fold(&whole, |part, name| part.get(name));
    match part {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin_host::pipeline::samples::{self, parts as at};

    fn event(subject: &str, reason: &str) -> GuestEvent {
        samples::event(subject, &format!("{{\"reason\":\"{reason}\"}}"))
    }

    fn once(known: Vec<(String, Timestamp)>) -> OncePer {
        let paths = ["subject", "payload.reason"].map(str::to_owned);
        OncePer::new(paths.into(), Duration::from_secs(60), known)
    }

    #[test]
    fn one_of_a_kind_passes_in_a_cooldown_also_after_a_restart() {
        let mut first = once(Vec::new());
        assert_eq!(first.ask(&event("shop", "oom"), &at(0)), None);
        assert!(first.ask(&event("shop", "oom"), &at(59)).is_some());
        assert_eq!(first.ask(&event("shop", "unhealthy"), &at(59)), None);
        assert_eq!(first.ask(&event("blog", "oom"), &at(59)), None);
        assert_eq!(first.ask(&event("shop", "oom"), &at(60)), None);
        assert!(first.ask(&event("shop", "oom"), &at(119)).is_some());

        let mut second = once(first.take_news());
        assert!(second.ask(&event("shop", "oom"), &at(119)).is_some());
        assert_eq!(second.ask(&event("shop", "oom"), &at(120)), None);
    }

    #[test]
    fn it_forgets_what_is_over_before_it_forgets_what_is_not() {
        let mut once = once(Vec::new());
        let subject = |number: usize| event(&number.to_string(), "oom");
        for number in 0..KEYS_MAX {
            once.ask(&subject(number), &at(u64::from(number > 10) * 50));
        }
        once.ask(&subject(KEYS_MAX), &at(61));
        assert_eq!(once.passed.len(), KEYS_MAX - 10);
        assert!(once.ask(&subject(11), &at(62)).is_some());
    }

    #[test]
    fn a_path_names_a_part_of_an_event() {
        for good in ["subject", "payload.reason", "annotations.team.channel"] {
            assert_eq!(OncePer::check_path(good), Ok(()));
        }
        for bad in ["", "payload", "payload.", "payload..x", "subject.x", "time"] {
            assert!(OncePer::check_path(bad).is_err(), "{bad}");
        }
    }
}
