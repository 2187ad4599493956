use crate::{
    engine::Hint,
    model::{Health, Instance, InstanceReason, InstanceStatus, Timestamp},
};

/// How an instance changed, as far as it is worth an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) reason: InstanceReason,
    pub(super) status: InstanceStatus,
    pub(super) exit_code: Option<i64>,
}

/// What is known besides, when a hint is looked at or everything is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Knowledge {
    /// The last time at which everything was known.
    pub(super) complete_until: Timestamp,
    /// An event has told this end already.
    pub(super) end_is_told: bool,
    pub(super) asked_to_stop: bool,
    /// Some process of it, perhaps long before its end.
    pub(super) out_of_memory: bool,
    pub(super) told_health: Health,
}

/// What an event of the engine means, checked against what was inspected.
pub(super) fn by_hint(
    hint: &Hint,
    before: Option<&Instance>,
    now: &Instance,
    known: Knowledge,
) -> Option<Change> {
    let change = |reason| {
        Some(Change {
            reason,
            status: now.status,
            exit_code: now.exit_code,
        })
    };
    match hint.action.as_str() {
        // It may have run and ended by now: hints of their own tell that.
        "create" => Some(Change {
            reason: InstanceReason::Created,
            status: InstanceStatus::Created,
            exit_code: None,
        }),
        // It can fail right after: only what really runs has started.
        "start" if now.status == InstanceStatus::Running => {
            let restarted = before.is_some_and(|before| now.restart_count > before.restart_count);
            change(if restarted {
                InstanceReason::Restarted
            } else {
                InstanceReason::Started
            })
        }
        // Its restart policy may have it running again by now: the hint counts.
        "die" => {
            let exit_code = hint.exit_code.or(now.exit_code);
            let reason = reason_of_end(exit_code, known);
            Some(Change {
                reason,
                status: InstanceStatus::Exited,
                exit_code,
            })
        }
        // It waited for its restart, or ended by itself meanwhile: no end tells of the stop.
        "stop" if before.is_some_and(is_to_restart) && is_ended(now.status) => {
            change(InstanceReason::Stopped)
        }
        "pause" if pauses(before, now) => change(InstanceReason::Paused),
        "unpause" if before.is_some_and(|before| pauses(Some(now), before)) => {
            change(InstanceReason::Unpaused)
        }
        "rename" if before.is_none_or(|before| before.name != now.name) => {
            change(InstanceReason::Renamed)
        }
        "health_status" => by_health(known.told_health, now),
        _ => None,
    }
}

/// What no event told: found by comparing.
pub(super) fn by_difference(
    before: Option<&Instance>,
    now: &Instance,
    known: Knowledge,
) -> Option<Change> {
    let change = |reason| {
        Some(Change {
            reason,
            status: now.status,
            exit_code: now.exit_code,
        })
    };
    let end = || reason_of_end(now.exit_code, known);
    let is_new = |time: Option<Timestamp>| time > Some(known.complete_until);
    if is_ended(now.status) && is_new(now.finished_at) && !known.end_is_told {
        return change(end());
    }
    let Some(before) = before else {
        return change(match now.status {
            InstanceStatus::Created if is_new(Some(now.created_at)) => InstanceReason::Created,
            InstanceStatus::Running if is_new(now.started_at) => InstanceReason::Started,
            // As it was before we looked: nothing to be alarmed about.
            _ => InstanceReason::Resync,
        });
    };
    if before.status != now.status {
        return match now.status {
            InstanceStatus::Running if before.status == InstanceStatus::Paused => {
                change(InstanceReason::Unpaused)
            }
            InstanceStatus::Running => change(InstanceReason::Started),
            // It waits no longer for its restart.
            InstanceStatus::Exited | InstanceStatus::Dead if known.end_is_told => {
                change(InstanceReason::Resync)
            }
            InstanceStatus::Exited | InstanceStatus::Dead => change(end()),
            InstanceStatus::Paused => change(InstanceReason::Paused),
            InstanceStatus::Created | InstanceStatus::Restarting | InstanceStatus::Removed => {
                change(InstanceReason::Resync)
            }
        };
    }
    if now.restart_count > before.restart_count || now.started_at != before.started_at {
        return change(InstanceReason::Restarted);
    }
    if now.name != before.name {
        return change(InstanceReason::Renamed);
    }
    by_health(known.told_health, now)
}

fn is_to_restart(instance: &Instance) -> bool {
    instance.status == InstanceStatus::Restarting || instance.crash_loop_since.is_some()
}

fn pauses(before: Option<&Instance>, now: &Instance) -> bool {
    let is_paused = |instance: &Instance| instance.status == InstanceStatus::Paused;
    is_paused(now) && !before.is_some_and(is_paused)
}

/// Against what was told: an earlier hint may have shown this health already.
fn by_health(told: Health, now: &Instance) -> Option<Change> {
    // The engine keeps the last word of a check after the container's end.
    let changed = told != now.health && now.status == InstanceStatus::Running;
    let reason = match now.health {
        Health::Healthy if changed && told == Health::Unhealthy => InstanceReason::Recovered,
        Health::Healthy if changed => InstanceReason::Healthy,
        Health::Unhealthy if changed => InstanceReason::Unhealthy,
        Health::Healthy | Health::Unhealthy | Health::Starting | Health::None => return None,
    };
    Some(Change {
        reason,
        status: now.status,
        exit_code: None,
    })
}

pub(super) const fn is_ended(status: InstanceStatus) -> bool {
    matches!(status, InstanceStatus::Exited | InstanceStatus::Dead)
}

/// 128 + 2, 9 or 15: ended by SIGINT, SIGKILL or SIGTERM.
const fn reason_of_end(exit_code: Option<i64>, known: Knowledge) -> InstanceReason {
    match exit_code {
        _ if known.asked_to_stop => InstanceReason::Stopped,
        Some(0) => InstanceReason::Exited,
        _ if known.out_of_memory => InstanceReason::Oom,
        Some(137) => InstanceReason::Killed,
        Some(130 | 143) => InstanceReason::Stopped,
        _ => InstanceReason::UnexpectedExit,
    }
}

/// An end that nobody asked for, and that is no success.
pub(super) const fn is_failure(reason: InstanceReason) -> bool {
    matches!(
        reason,
        InstanceReason::UnexpectedExit | InstanceReason::Oom | InstanceReason::Killed
    )
}

#[cfg(test)]
mod tests {
    use super::{
        Health, Hint, Instance, InstanceReason, InstanceStatus, Knowledge, Timestamp,
        by_difference, by_hint, reason_of_end, sample::running,
    };

    #[test]
    fn an_end_is_told_by_its_code_and_by_who_asked_for_it() {
        for (code, oom, asked, expected) in [
            (0, false, false, InstanceReason::Exited),
            (3, false, false, InstanceReason::UnexpectedExit),
            (137, false, false, InstanceReason::Killed),
            (137, true, false, InstanceReason::Oom),
            (137, false, true, InstanceReason::Stopped),
            (143, true, true, InstanceReason::Stopped),
            (0, true, false, InstanceReason::Exited),
            (143, false, false, InstanceReason::Stopped),
            (1, false, true, InstanceReason::Stopped),
        ] {
            let known = Knowledge {
                asked_to_stop: asked,
                out_of_memory: oom,
                ..NOTHING
            };
            assert_eq!(
                reason_of_end(Some(code), known),
                expected,
                "{code} {known:?}"
            );
        }
    }

    #[test]
    fn hints_that_are_looked_at_late_still_tell_one_thing_each() {
        let now = ended(137, 20);
        let known = Knowledge {
            out_of_memory: true,
            ..NOTHING
        };
        let told = |action, exit_code| {
            let change = by_hint(&hint(action, exit_code), None, &now, known)?;
            Some((change.reason, change.status, change.exit_code))
        };
        assert_eq!(
            [
                told("create", None),
                told("start", None),
                told("die", Some(137))
            ],
            [
                Some((InstanceReason::Created, InstanceStatus::Created, None)),
                None,
                Some((InstanceReason::Oom, InstanceStatus::Exited, Some(137))),
            ]
        );
    }

    #[test]
    fn an_end_found_by_comparing_is_told_once_and_only_if_it_is_news() {
        let reason = |finished_ms, end_is_told| {
            let known = Knowledge {
                end_is_told,
                ..NOTHING
            };
            let now = ended(3, finished_ms);
            [None, Some(&now)].map(|before| Some(by_difference(before, &now, known)?.reason))
        };
        let (exit, resync) = (InstanceReason::UnexpectedExit, InstanceReason::Resync);
        assert_eq!(reason(20, false), [Some(exit), Some(exit)]);
        assert_eq!(reason(20, true), [Some(resync), None]);
        assert_eq!(reason(5, false), [Some(resync), None]);
    }

    #[test]
    fn a_stop_while_it_waits_for_its_restart_is_a_stop_and_its_end_is_not_told_again() {
        let waiting = Instance {
            status: InstanceStatus::Restarting,
            ..ended(3, 20)
        };
        let told = Knowledge {
            end_is_told: true,
            ..NOTHING
        };
        let (before, now) = (Some(&waiting), ended(3, 20));
        let stop = hint("stop", None);
        let reason = |change: Option<super::Change>| change.map(|change| change.reason);
        let stopped = by_hint(&stop, before, &now, told);
        assert_eq!(reason(stopped), Some(InstanceReason::Stopped));
        assert_eq!(by_hint(&stop, Some(&now), &now, told), None);
        let looping = Instance {
            crash_loop_since: Some(Timestamp::from_unix_ms(5)),
            ..now.clone()
        };
        let stopped = by_hint(&stop, Some(&looping), &now, told);
        assert_eq!(reason(stopped), Some(InstanceReason::Stopped));
        let compared = by_difference(before, &now, told);
        assert_eq!(reason(compared), Some(InstanceReason::Resync));
    }

    #[test]
    fn health_that_an_earlier_hint_has_shown_is_still_told() {
        let now = Instance {
            status: InstanceStatus::Running,
            health: Health::Unhealthy,
            ..ended(0, 5)
        };
        let well = Instance {
            health: Health::Healthy,
            ..now.clone()
        };
        let reason = |now: &Instance, told_health| {
            let known = Knowledge {
                told_health,
                ..NOTHING
            };
            let change = by_hint(&hint("health_status", None), Some(now), now, known);
            change.map(|change| change.reason)
        };
        assert_eq!(reason(&now, Health::None), Some(InstanceReason::Unhealthy));
        assert_eq!(reason(&now, Health::Unhealthy), None);
        assert_eq!(reason(&well, Health::None), Some(InstanceReason::Healthy));
        let recovered = Some(InstanceReason::Recovered);
        assert_eq!(reason(&well, Health::Unhealthy), recovered);
    }

    const NOTHING: Knowledge = Knowledge {
        complete_until: Timestamp::from_unix_ms(10),
        end_is_told: false,
        asked_to_stop: false,
        out_of_memory: false,
        told_health: Health::None,
    };

    fn hint(action: &str, exit_code: Option<i64>) -> Hint {
        Hint {
            exit_code,
            ..Hint::sample(action, 1)
        }
    }

    fn ended(exit_code: i64, finished_ms: i64) -> Instance {
        Instance {
            status: InstanceStatus::Exited,
            exit_code: Some(exit_code),
            finished_at: Some(Timestamp::from_unix_ms(finished_ms)),
            ..running()
        }
    }
}

#[cfg(test)]
pub(super) mod sample {
    use std::collections::BTreeMap;

    use super::{Health, Instance, InstanceStatus, Timestamp};

    pub fn running() -> Instance {
        Instance {
            id: "c1".into(),
            name: "greedy".into(),
            image: "idle:1".into(),
            managed: false,
            project: None,
            stage: None,
            deploy: None,
            generation: None,
            status: InstanceStatus::Running,
            health: Health::None,
            exit_code: None,
            oom_killed: false,
            restart_count: 0,
            crash_loop_since: None,
            created_at: Timestamp::from_unix_ms(1),
            started_at: Some(Timestamp::from_unix_ms(1)),
            finished_at: None,
            ports: Vec::new(),
            labels: BTreeMap::new(),
            updated_at: Timestamp::from_unix_ms(30),
            stale: false,
        }
    }
}
