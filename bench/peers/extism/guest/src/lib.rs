//! `examples/plugins/quiet-hours`, written for Extism: JSON in, JSON out.

use std::cell::OnceCell;

use extism_pdk::{FnResult, config, plugin_fn};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Event {
    time: String,
    severity: Severity,
}

#[derive(Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

#[derive(Serialize)]
struct Decision {
    keep: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

type Time = (u8, u8);

thread_local! {
    static HOURS: OnceCell<(Time, Time)> = const { OnceCell::new() };
}

#[plugin_fn]
pub fn filter(event: String) -> FnResult<String> {
    let event: Event = serde_json::from_str(&event)?;
    let time = event.time.get(11..16).and_then(time).unwrap_or_default();
    let is_night = HOURS.with(|hours| {
        let (from, to) = *hours.get_or_init(|| (configured("from"), configured("to")));
        if from <= to {
            from <= time && time < to
        } else {
            from <= time || time < to
        }
    });
    let drops = event.severity < Severity::Error && is_night;
    Ok(serde_json::to_string(&Decision {
        keep: !drops,
        reason: drops.then(|| "quiet hours".to_owned()),
    })?)
}

fn configured(key: &str) -> Time {
    let text = config::get(key).ok().flatten().unwrap_or_default();
    time(&text).unwrap_or_default()
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Some((hour.parse().ok()?, minute.parse().ok()?))
}
