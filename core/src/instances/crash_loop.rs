//! Containers that end again and again: told once when that begins, and once when it
//! is over.

use std::collections::{HashMap, VecDeque};

use super::change::{Change, is_failure};
use crate::model::{Health, Instance, InstanceReason, InstanceStatus, Timestamp};

/// So many ends within the window, or restarts by the engine, are a crash loop.
const ENDS: usize = 3;
const WINDOW_MS: u64 = 10 * 60_000;
/// It is over once the container has run for so long.
const STABLE_MS: u64 = 10 * 60_000;

/// The last ends of each container that nobody asked for.
#[derive(Debug, Default)]
pub(super) struct CrashLoops(HashMap<String, Recent>);

#[derive(Debug, Default)]
struct Recent {
    failures: Last,
    /// A program that ends with code 0 under a policy that restarts it loops as well.
    restarts: Last,
    /// Of the last end that was seen.
    exit_code: Option<i64>,
}

impl CrashLoops {
    /// Keeps since when `now` is in a crash loop. Says what is to be told besides `change`.
    /// Of what came after `complete_until` several may be found in one look.
    pub(super) fn judge(
        &mut self,
        before: Option<&Instance>,
        now: &mut Instance,
        change: Option<&Change>,
        at: Timestamp,
        complete_until: Timestamp,
    ) -> Option<Change> {
        now.crash_loop_since = before.and_then(|before| before.crash_loop_since);
        if now.crash_loop_since.is_some() {
            return is_over(now).then(|| {
                now.crash_loop_since = None;
                self.forget(&now.id);
                told(InstanceReason::Recovered, now.status, None)
            });
        }
        let change = change?;
        let recent = self.0.entry(now.id.clone()).or_default();
        if is_failure(change.reason) {
            recent.failures.add(at);
        }
        for _ in 0..restarts(before, now, at, complete_until) {
            recent.restarts.add(at);
        }
        recent.exit_code = change.exit_code.or(now.exit_code).or(recent.exit_code);
        if !(recent.failures.is_loop() || recent.restarts.is_loop()) {
            return None;
        }
        // Found in a late look at its beginning: its ends are told next, with their code.
        if recent.exit_code.is_none() && begins(change.reason) {
            return None;
        }
        now.crash_loop_since = Some(at);
        let reason = InstanceReason::CrashLoop;
        Some(told(reason, change.status, recent.exit_code))
    }

    /// Somebody asked for its end, and so for that of its loop.
    pub(super) fn stopped(&mut self, now: &mut Instance) {
        now.crash_loop_since = None;
        self.forget(&now.id);
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.0.remove(id);
    }
}

/// How many by the engine are news: under load a look may come after several.
fn restarts(
    before: Option<&Instance>,
    now: &Instance,
    at: Timestamp,
    complete_until: Timestamp,
) -> usize {
    let is_new = at.ms_since(now.created_at) < WINDOW_MS;
    let known = match before {
        Some(before) => before.restart_count,
        None if is_new => 0,
        None => now.restart_count,
    };
    let is_recent = is_new || at.ms_since(complete_until) < WINDOW_MS;
    let most = if is_recent { ENDS } else { 1 };
    usize::try_from(now.restart_count - known).map_or(0, |count| count.min(most))
}

/// Times of the last few.
#[derive(Debug, Default)]
struct Last(VecDeque<Timestamp>);

impl Last {
    fn add(&mut self, at: Timestamp) {
        self.0.push_back(at);
        if self.0.len() > ENDS {
            self.0.pop_front();
        }
    }

    fn is_loop(&self) -> bool {
        let both = self.0.front().zip(self.0.back());
        self.0.len() == ENDS && both.is_some_and(|(first, last)| last.ms_since(*first) < WINDOW_MS)
    }
}

const fn told(reason: InstanceReason, status: InstanceStatus, exit_code: Option<i64>) -> Change {
    Change {
        reason,
        status,
        exit_code,
    }
}

const fn begins(reason: InstanceReason) -> bool {
    matches!(reason, InstanceReason::Created | InstanceReason::Started)
}

fn is_over(now: &Instance) -> bool {
    let ran_ms = now
        .started_at
        .map(|started| now.updated_at.ms_since(started));
    now.status == InstanceStatus::Running
        && now.health != Health::Unhealthy
        && ran_ms >= Some(STABLE_MS)
}

#[cfg(test)]
mod tests {
    use super::{
        Change, CrashLoops, Instance, InstanceReason, InstanceStatus, Timestamp, is_failure,
    };
    use crate::instances::change::sample::running;

    const MINUTE: i64 = 60_000;

    /// Folds what happened at these minutes; at which of them something was told.
    fn folded(happened: &[(i64, InstanceReason, i64)]) -> Vec<(i64, InstanceReason)> {
        folded_after(i64::MAX, happened)
    }

    /// The same, with everything known last at a minute before these.
    fn folded_after(
        complete: i64,
        happened: &[(i64, InstanceReason, i64)],
    ) -> Vec<(i64, InstanceReason)> {
        let mut loops = CrashLoops::default();
        let mut before: Option<Instance> = None;
        let mut told = Vec::new();
        for &(minute, reason, restart_count) in happened {
            let at = Timestamp::from_unix_ms(minute * MINUTE);
            let mut now = Instance {
                status: InstanceStatus::Exited,
                restart_count,
                updated_at: at,
                ..running()
            };
            let change = Change {
                reason,
                status: InstanceStatus::Exited,
                exit_code: is_failure(reason).then_some(3),
            };
            let complete = Timestamp::from_unix_ms(minute.min(complete) * MINUTE);
            let more = loops.judge(before.as_ref(), &mut now, Some(&change), at, complete);
            told.extend(more.map(|change| (minute, change.reason)));
            before = Some(now);
        }
        told
    }

    #[test]
    fn a_loop_that_a_late_look_finds_at_its_beginning_is_told_with_an_end_and_its_code() {
        use InstanceReason::{CrashLoop, Created, Started, UnexpectedExit};
        let late = [(1, Created, 3), (1, Started, 3), (2, UnexpectedExit, 3)];
        assert_eq!(folded(&late), [(2, CrashLoop)]);
    }

    #[test]
    fn three_ends_within_ten_minutes_are_told_once() {
        use InstanceReason::{CrashLoop, Exited, Killed, Oom, Stopped, UnexpectedExit};
        let ends = [
            (100, UnexpectedExit, 0),
            (104, Oom, 0),
            (109, Killed, 0),
            (109, UnexpectedExit, 0),
        ];
        assert_eq!(folded(&ends), [(109, CrashLoop)]);
        let slow = [100, 105, 110, 115].map(|minute| (minute, UnexpectedExit, 0));
        assert_eq!(folded(&slow), []);
        for harmless in [Exited, Stopped] {
            assert_eq!(folded(&[100, 101, 102].map(|it| (it, harmless, 0))), []);
        }
    }

    #[test]
    fn what_ends_well_but_is_restarted_each_time_loops_too() {
        use InstanceReason::{CrashLoop, Restarted};
        let restarts = [0, 1, 2, 3].map(|count| (100 + count, Restarted, count));
        assert_eq!(folded(&restarts), [(103, CrashLoop)]);
    }

    #[test]
    fn restarts_that_one_look_finds_count_each_unless_they_may_be_of_long_ago() {
        use InstanceReason::{CrashLoop, UnexpectedExit};
        let found = [(100, UnexpectedExit, 0), (101, UnexpectedExit, 3)];
        assert_eq!(folded(&found), [(101, CrashLoop)]);
        let found = [(100, UnexpectedExit, 0), (200, UnexpectedExit, 3)];
        assert_eq!(folded_after(100, &found), []);
    }

    #[test]
    fn it_is_over_when_the_container_has_run_for_ten_minutes() {
        let at = |minute| Timestamp::from_unix_ms(minute * MINUTE);
        let looping = Instance {
            crash_loop_since: Some(at(100)),
            started_at: Some(at(101)),
            ..running()
        };
        let mut loops = CrashLoops::default();
        let mut told_at = |minute| {
            let mut now = Instance {
                updated_at: at(minute),
                crash_loop_since: None,
                ..looping.clone()
            };
            let told = loops.judge(Some(&looping), &mut now, None, at(minute), at(minute));
            (told.map(|change| change.reason), now.crash_loop_since)
        };
        assert_eq!(told_at(110), (None, Some(at(100))));
        assert_eq!(told_at(111), (Some(InstanceReason::Recovered), None));
    }
}
