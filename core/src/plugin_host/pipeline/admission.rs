use std::time::Duration;

use serde::Deserialize;

use crate::{
    events::FrameParts,
    model::{EventType, Timestamp},
    plugin_host::sandbox::GuestEvent,
};

/// Which of the events that `when` lets in are news to anybody: not what our own
/// deploys do to instances, and not how instances come up after a start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Admission {
    pub planned: bool,
    /// The server's start, and for how long after it nothing is news.
    pub grace: Option<(Timestamp, Duration)>,
}

/// The part of an instance's event that says who did it.
#[derive(Deserialize)]
struct ByWhom {
    #[serde(default)]
    planned: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    Yes,
    /// As if `when` had not let it in.
    Silent,
    Refused(String),
}

impl Admission {
    pub fn ask(&self, parts: &FrameParts<'_>, event: &GuestEvent) -> Admitted {
        if parts.kind != EventType::InstanceStatus {
            return Admitted::Yes;
        }
        if !self.planned && is_planned(event) {
            return Admitted::Silent;
        }
        match self.grace {
            Some((start, grace)) if is_within(start, grace, parts.time) => Admitted::Refused(
                format!("it came within {} s of the server's start", grace.as_secs()),
            ),
            _ => Admitted::Yes,
        }
    }
}

fn is_planned(event: &GuestEvent) -> bool {
    // What cannot be read is rather told once too often.
    serde_json::from_str(&event.payload).is_ok_and(|ByWhom { planned }| planned)
}

fn is_within(start: Timestamp, grace: Duration, time: Timestamp) -> bool {
    time >= start && u128::from(time.ms_since(start)) < grace.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin_host::pipeline::samples;

    fn ask(admission: Admission, kind: EventType, second: u64, planned: bool) -> Admitted {
        let parts = FrameParts {
            kind,
            ..samples::parts(second)
        };
        let event = samples::event("shop", &format!("{{\"planned\":{planned}}}"));
        admission.ask(&parts, &event)
    }

    #[test]
    fn what_our_deploys_do_is_silent_and_a_start_has_its_grace() {
        let start = Timestamp::from_unix_ms(10_000);
        let quiet = Admission {
            planned: false,
            grace: Some((start, Duration::from_secs(5))),
        };
        let instance = EventType::InstanceStatus;
        assert_eq!(ask(quiet, instance, 9, true), Admitted::Silent);
        assert_eq!(ask(quiet, instance, 9, false), Admitted::Yes);
        for second in [10, 14] {
            assert!(matches!(
                ask(quiet, instance, second, false),
                Admitted::Refused(_)
            ));
            let deploy = ask(quiet, EventType::DeployStatus, second, false);
            assert_eq!(deploy, Admitted::Yes);
        }
        assert_eq!(ask(quiet, instance, 15, false), Admitted::Yes);
        let all = Admission {
            planned: true,
            grace: None,
        };
        assert_eq!(ask(all, instance, 12, true), Admitted::Yes);
    }
}
