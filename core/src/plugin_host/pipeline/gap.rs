use crate::model::EventId;

/// Up to where retention has taken some of what a pipeline wants. What lies in it is
/// counted as the cursor comes past, in the same transaction: once, however often the gap
/// grows before that, and however often the pipeline begins anew in front of it.
#[derive(Debug, Default)]
pub(super) struct Gap {
    to: EventId,
}

impl Gap {
    pub fn reaches(&mut self, floor: EventId) {
        self.to = self.to.max(floor);
    }

    /// Ids in it that a cursor comes past on its way from `stored`; of all types, so no
    /// fewer than were missed.
    pub fn between(&self, stored: EventId, cursor: EventId) -> i64 {
        (self.to.min(cursor).0 - stored.0).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_grows_while_nothing_is_read_is_counted_once() {
        let (mut gap, stored) = (Gap::default(), EventId(100));
        assert_eq!(gap.between(stored, EventId(150)), 0);
        for floor in [1_000, 2_000, 3_000] {
            gap.reaches(EventId(floor));
            // A batch that is due is stored where the cursor is.
            assert_eq!(gap.between(stored, stored), 0);
        }
        assert_eq!(gap.between(stored, EventId(3_064)), 2_900);
        assert_eq!(gap.between(EventId(3_064), EventId(3_128)), 0);
    }

    #[test]
    fn what_the_cursor_comes_past_in_parts_adds_up() {
        let mut gap = Gap::default();
        gap.reaches(EventId(1_000));
        let places = [0, 400, 900, 1_100, 1_200].map(EventId);
        let counted = places.windows(2).map(|pair| gap.between(pair[0], pair[1]));
        assert_eq!(counted.collect::<Vec<_>>(), [400, 500, 100, 0]);
    }
}
