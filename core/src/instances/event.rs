//! The event that tells of a change, and how loud it is.

use super::change::{Change, is_ended, is_failure};
use crate::{
    engine::image_labels,
    model::{
        Actor, Instance, InstanceReason, InstanceSource, InstanceStatusPayload, NewEvent, Payload,
        Severity, Subject,
    },
};

/// What is known besides the instance itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circumstances {
    pub(super) planned: bool,
    pub(super) source: InstanceSource,
    /// What it said last, for those changes that need it.
    pub(super) log_tail: Vec<String>,
}

/// Of these, a person needs to know what it said last.
pub(super) const fn needs_log_tail(reason: InstanceReason) -> bool {
    is_failure(reason) || matches!(reason, InstanceReason::CrashLoop)
}

/// The event that tells of a change.
pub(super) fn event(
    change: &Change,
    before: Option<&Instance>,
    now: &Instance,
    circumstances: &Circumstances,
) -> NewEvent {
    let Circumstances {
        planned,
        source,
        ref log_tail,
    } = *circumstances;
    let needs_log_tail = needs_log_tail(change.reason);
    let subject = Subject {
        project: now.project.clone(),
        stage: now.stage.clone(),
        deploy: None,
        instance: Some(now.name.clone()),
        other: None,
    };
    let payload = InstanceStatusPayload {
        instance: now.id.clone(),
        name: now.name.clone(),
        image: now.image.clone(),
        image_labels: image_labels(&now.labels),
        managed: now.managed,
        project: now.project.clone(),
        stage: now.stage.clone(),
        deploy_id: now.deploy,
        generation: now.generation,
        status: change.status,
        previous: before
            .map(|before| before.status)
            .filter(|previous| *previous != change.status),
        health: now.health,
        reason: change.reason,
        exit_code: change.exit_code,
        oom_killed: change.reason == InstanceReason::Oom
            || now.oom_killed && is_ended(change.status),
        restart_count: now.restart_count,
        crash_loop_since: now.crash_loop_since,
        log_tail: log_tail
            .iter()
            .filter(|_| needs_log_tail)
            .cloned()
            .collect(),
        planned,
        source,
    };
    let is_news = !planned && !goes_on_looping(change.reason, now);
    let severity = if is_news {
        severity(change.reason)
    } else {
        Severity::Info
    };
    let payload = Payload::InstanceStatus(Box::new(payload));
    NewEvent::new(subject, severity, Actor::system("watcher"), payload)
}

/// A crash loop is one alarm, with whatever belongs to it.
fn goes_on_looping(reason: InstanceReason, now: &Instance) -> bool {
    now.crash_loop_since.is_some() && (is_failure(reason) || reason == InstanceReason::Restarted)
}

const fn severity(reason: InstanceReason) -> Severity {
    match reason {
        InstanceReason::UnexpectedExit | InstanceReason::Oom | InstanceReason::CrashLoop => {
            Severity::Error
        }
        InstanceReason::Killed | InstanceReason::Unhealthy | InstanceReason::Restarted => {
            Severity::Warning
        }
        InstanceReason::Created
        | InstanceReason::Started
        | InstanceReason::Stopped
        | InstanceReason::Exited
        | InstanceReason::Paused
        | InstanceReason::Unpaused
        | InstanceReason::Renamed
        | InstanceReason::Removed
        | InstanceReason::Healthy
        | InstanceReason::Recovered
        | InstanceReason::Resync => Severity::Info,
    }
}
