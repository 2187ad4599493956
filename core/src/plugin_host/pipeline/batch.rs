use std::time::Duration;

use crate::{
    model::{Batch, Timestamp},
    store::PassedEvent,
};

/// A delivery is never larger, however many events it may hold.
const BYTES_MAX: usize = 256 << 10;

/// A clock that differs by more than this was set back: what waits for it does not.
const SET_BACK_MS: u64 = 60_000;

/// The batch that a pipeline fills. What is in it is in the store as well, so
/// that the cursor goes on.
#[derive(Debug)]
pub(super) struct OpenBatch {
    /// Without, each event is sealed by itself.
    limits: Option<Batch>,
    members: Vec<PassedEvent>,
    /// So many of them are in the store.
    stored: usize,
    bytes: usize,
}

impl OpenBatch {
    /// `stored` is what was there at the start.
    pub fn new(limits: Option<Batch>, stored: Vec<PassedEvent>) -> Self {
        Self {
            limits,
            bytes: stored.iter().map(|member| member.json.len()).sum(),
            stored: stored.len(),
            members: stored,
        }
    }

    /// What is sealed by it: nothing, what was there before, or all.
    pub fn push(&mut self, event: PassedEvent) -> Vec<Vec<PassedEvent>> {
        let mut sealed = Vec::new();
        if self.bytes + event.json.len() > BYTES_MAX {
            sealed.extend(self.seal());
        }
        self.bytes += event.json.len();
        self.members.push(event);
        let most = self.limits.map_or(1, |limits| limits.events);
        if self.members.len() >= most {
            sealed.extend(self.seal());
        }
        sealed
    }

    /// Whether its oldest member has waited long enough.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let was_set_back = |due: Timestamp| due.ms_since(now) > self.wait_ms() + SET_BACK_MS;
        self.due()
            .is_some_and(|due| due <= now || was_set_back(due))
    }

    /// When it has to be sealed at the latest.
    fn due(&self) -> Option<Timestamp> {
        Some(self.members.first()?.passed_at.plus_ms(self.wait_ms()))
    }

    fn wait_ms(&self) -> u64 {
        self.limits.map_or(0, |limits| limits.wait_s * 1_000)
    }

    /// For how long it may stay open: never longer than it is to, however the clock was
    /// set meanwhile.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.due()?.ms_since(Timestamp::now());
        Some(Duration::from_millis(left.min(self.wait_ms())))
    }

    /// Takes all of it, if there is anything.
    pub fn seal(&mut self) -> Option<Vec<PassedEvent>> {
        (self.stored, self.bytes) = (0, 0);
        let members = std::mem::take(&mut self.members);
        (!members.is_empty()).then_some(members)
    }

    /// Those that have to be stored.
    pub fn take_news(&mut self) -> Vec<PassedEvent> {
        let news = self.members[self.stored..].to_vec();
        self.stored = self.members.len();
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    fn passed(id: i64, bytes: usize) -> PassedEvent {
        PassedEvent {
            id: EventId(id),
            subject: "shop".into(),
            json: "x".repeat(bytes),
            passed_at: Timestamp::from_unix_ms(id),
        }
    }

    fn ids(sealed: &[Vec<PassedEvent>]) -> Vec<Vec<i64>> {
        let ids = |batch: &Vec<PassedEvent>| batch.iter().map(|event| event.id.0).collect();
        sealed.iter().map(ids).collect()
    }

    #[test]
    fn it_is_sealed_when_it_is_full_or_would_grow_too_large() {
        let limits = Batch {
            events: 3,
            wait_s: 30,
        };
        let mut batch = OpenBatch::new(Some(limits), Vec::new());
        assert_eq!(batch.due(), None);
        assert_eq!(ids(&batch.push(passed(1, 10))), [[0; 0]; 0]);
        assert_eq!(batch.due(), Some(Timestamp::from_unix_ms(30_001)));
        batch.push(passed(2, 10));
        assert_eq!(batch.take_news().len(), 2);
        assert_eq!(batch.take_news().len(), 0);
        assert_eq!(ids(&batch.push(passed(3, 10))), [[1, 2, 3]]);
        assert_eq!(batch.due(), None);

        batch.push(passed(4, 10));
        let sealed = batch.push(passed(5, BYTES_MAX));
        assert_eq!(ids(&sealed), [[4]]);
        assert_eq!(batch.take_news(), [passed(5, BYTES_MAX)]);
    }

    #[test]
    fn without_limits_each_event_goes_by_itself() {
        let mut batch = OpenBatch::new(None, Vec::new());
        assert_eq!(ids(&batch.push(passed(1, 10))), [[1]]);
    }
}
