use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{engine::Engine, model::Timestamp};

/// What an operation has done may carry a time that is a little later than its end.
const SLACK_MS: u64 = 2_000;
/// How long after an operation of ours its effects may still be told.
const REMEMBERED_MS: u64 = 30_000;

/// Containers that an operation of ours works on: what happens to them is planned, and
/// nothing to be alarmed about. All times are of the engine's clock.
#[derive(Clone)]
pub struct Planned {
    engine: Engine,
    marks: Arc<Mutex<Marks>>,
}

/// An operation on one container. However it ends, nothing is planned after it.
#[must_use = "an operation that nobody holds is over"]
pub struct Operation {
    planned: Planned,
    number: u64,
}

#[derive(Default)]
struct Marks {
    last: u64,
    all: Vec<Mark>,
}

struct Mark {
    number: u64,
    id: String,
    work: Work,
    from: Timestamp,
    /// None as long as the operation goes on.
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It is stopped or removed: that is why it ends.
    Stops,
    /// It is watched: why it ends, if it does, is told as it is.
    Watches,
}

impl Planned {
    pub fn new(engine: Engine) -> Self {
        Self {
            engine,
            marks: Arc::default(),
        }
    }

    /// We stop or remove it.
    pub fn stops(&self, id: &str) -> Operation {
        self.begin(id, Work::Stops, self.engine.now())
    }

    /// An earlier life of this server has perhaps begun to.
    pub fn stops_since_before(&self, id: &str) -> Operation {
        self.begin(id, Work::Stops, Timestamp::from_unix_ms(0))
    }

    /// We see whether it lasts, and deal with it if it does not.
    pub fn watches(&self, id: &str) -> Operation {
        self.begin(id, Work::Watches, self.engine.now())
    }

    /// It serves, and what happens from now on it does by itself. Its start may be told later.
    pub fn release(&self, id: &str) {
        let now = self.engine.now();
        for mark in self.lock().all.iter_mut().filter(|mark| mark.id == id) {
            mark.until = Some(mark.until.map_or(now, |until| until.min(now)));
        }
    }

    /// Whether what happened to it then was planned.
    pub(super) fn contains(&self, id: &str, at: Timestamp) -> bool {
        self.any(|mark| mark.id == id && mark.reaches(at))
    }

    /// Whether it ended then because we stopped it.
    pub(super) fn has_stopped(&self, id: &str, end: Timestamp) -> bool {
        self.any(|mark| {
            mark.id == id && mark.work == Work::Stops && mark.from <= end && mark.reaches(end)
        })
    }

    fn any(&self, holds: impl Fn(&Mark) -> bool) -> bool {
        let now = self.engine.now();
        let mut marks = self.lock();
        let is_remembered = |until: Timestamp| now <= until.plus_ms(REMEMBERED_MS);
        marks.all.retain(|it| it.until.is_none_or(is_remembered));
        marks.all.iter().any(holds)
    }

    fn begin(&self, id: &str, work: Work, from: Timestamp) -> Operation {
        let mut marks = self.lock();
        marks.last += 1;
        let number = marks.last;
        marks.all.push(Mark {
            number,
            id: id.to_owned(),
            work,
            from,
            until: None,
        });
        drop(marks);
        Operation {
            planned: self.clone(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mark {
    fn reaches(&self, at: Timestamp) -> bool {
        self.until.is_none_or(|until| at <= until)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let until = self.planned.engine.now().plus_ms(SLACK_MS);
        let mut marks = self.planned.lock();
        let own = marks.all.iter_mut().find(|it| it.number == self.number);
        if let Some(mark) = own {
            // What was released by then stays so.
            mark.until.get_or_insert(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::{Engine, Planned, SLACK_MS, Timestamp};

    fn planned() -> Planned {
        Planned::new(Engine::new("unix:///nonexistent/docker.sock"))
    }

    #[test]
    fn what_happens_after_an_operation_is_not_planned_and_what_is_told_after_it_is() {
        let planned = planned();
        let operation = planned.stops("old");
        let during = Timestamp::now();
        assert!(planned.contains("old", during.plus_ms(3_600_000)));
        drop(operation);
        assert!(planned.contains("old", during));
        assert!(!planned.contains("old", during.plus_ms(10_000)));
        assert!(!planned.contains("other", during));
    }

    #[test]
    fn an_operation_that_breaks_off_is_over() {
        let planned = planned();
        let broken = catch_unwind(AssertUnwindSafe(|| {
            let _operation = planned.stops("old");
            panic!("in the middle of it");
        }));
        assert!(broken.is_err());
        let later = Timestamp::now().plus_ms(2 * SLACK_MS);
        assert!(!planned.contains("old", later) && !planned.has_stopped("old", later));
    }

    #[test]
    fn what_serves_does_what_it_does_by_itself_whoever_worked_on_it() {
        let planned = planned();
        drop(planned.stops("old"));
        let watching = planned.watches("old");
        let during = Timestamp::now();
        planned.release("old");
        drop(watching);
        assert!(planned.contains("old", during));
        assert!(!planned.contains("old", during.plus_ms(500)));
    }

    #[test]
    fn only_what_we_stop_ends_for_that_reason_and_only_after_we_began() {
        let planned = planned();
        let before = Timestamp::from_unix_ms(Timestamp::now().unix_ms() - 1);
        let _watching = planned.watches("new");
        let now = Timestamp::now();
        assert!(planned.contains("new", now) && !planned.has_stopped("new", now));
        let _stopping = planned.stops("new");
        let now = Timestamp::now();
        assert!(planned.has_stopped("new", now) && !planned.has_stopped("new", before));
        let _stopping = planned.stops_since_before("old");
        assert!(planned.has_stopped("old", before));
    }
}
