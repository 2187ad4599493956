//! A filter: at night it drops what can wait until morning.

use serde::Deserialize;
use tiny_forge_plugin::{Decision, Description, Event, Fault, Filter, Plugin, Severity};

/// The `config` table of the plugin's TOML.
#[derive(Deserialize)]
struct QuietHours {
    from: Time,
    to: Time,
    /// This and worse gets through at night.
    #[serde(default = "error")]
    except: Severity,
}

fn error() -> Severity {
    Severity::Error
}

/// A time of day. `try_from` checks it while the configuration is read: what it
/// says is shown to the operator, with the field it belongs to.
#[derive(Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
struct Time {
    hour: u8,
    minute: u8,
}

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no time: write 22:00"))
    }
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let time = Self {
            hour: hour.parse().ok()?,
            minute: minute.parse().ok()?,
        };
        (time.hour < 24 && time.minute < 60).then_some(time)
    }

    /// From `2026-03-27T22:30:25.123Z`.
    fn of(event: &Event) -> Option<Self> {
        Self::parse(event.time.get(11..16)?)
    }
}

impl QuietHours {
    fn contain(&self, time: Time) -> bool {
        if self.from <= self.to {
            self.from <= time && time < self.to
        } else {
            // Over midnight.
            self.from <= time || time < self.to
        }
    }
}

impl Plugin for QuietHours {
    fn describe() -> Description {
        tiny_forge_plugin::description!().config_schema(include_str!("../config.schema.json"))
    }
}

impl Filter for QuietHours {
    fn filter(&mut self, event: &Event) -> Result<Decision, Fault> {
        // An error is for what cannot be; the pipeline's `on_error` then decides.
        let time = Time::of(event).ok_or("the event's time is no RFC 3339")?;
        Ok(if event.severity < self.except && self.contain(time) {
            // People read this reason on the dashboard.
            Decision::drop(format!("quiet hours, and only {}", event.severity))
        } else {
            Decision::Keep
        })
    }
}

tiny_forge_plugin::export_filter!(QuietHours);

#[cfg(test)]
mod tests {
    use tiny_forge_plugin::{Decision, Event, Filter, Severity, json, testing};

    use super::QuietHours;

    fn at(time: &str, severity: Severity) -> Event {
        let mut event = Event::new("system", "engine", json!({}));
        event.time = format!("2026-03-27T{time}:25.123Z");
        event.severity = severity;
        event
    }

    #[test]
    fn at_night_only_errors_get_through() {
        let config = json!({"from": "22:00", "to": "07:30"});
        let mut filter: QuietHours = testing::configure(&config).expect("valid");
        let mut decide = |time, severity| filter.filter(&at(time, severity)).expect("no fault");

        let dropped = Decision::drop("quiet hours, and only warning");
        assert_eq!(decide("23:15", Severity::Warning), dropped);
        assert_eq!(decide("07:29", Severity::Warning), dropped);
        assert_eq!(decide("07:30", Severity::Warning), Decision::Keep);
        assert_eq!(decide("12:00", Severity::Debug), Decision::Keep);
        assert_eq!(decide("02:00", Severity::Error), Decision::Keep);
    }

    #[test]
    fn a_wrong_time_is_named_with_its_field() {
        let config = json!({"from": "22:00", "to": "25:00"});
        let errors = testing::configure::<QuietHours>(&config)
            .err()
            .expect("refused");
        assert_eq!(errors[0].field, "/to");
        assert_eq!(errors[0].message, "`25:00` is no time: write 22:00");
    }
}
