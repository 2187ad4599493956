use std::time::{Duration, Instant};

use super::{Crowd, Mark, Seen, Span, Watchdog, drain};
use crate::{message::Message, process::Process, publisher::Publisher};

/// Messages that may be on their way to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window(pub u64);

impl Window {
    /// How many may be published now: `(published + 1)·N ≤ delivered + W·N`.
    fn room(self, published: u64, delivered: u64, subscribers: u64) -> u64 {
        (delivered / subscribers + self.0).saturating_sub(published)
    }

    /// Fewer are not worth a batch: a burst stays one.
    fn grain(self) -> u64 {
        (self.0 / 4).max(1)
    }
}

/// Publishes as fast as everybody receives.
pub fn closed_loop(
    crowd: &mut Crowd,
    publisher: &mut Publisher,
    process: Option<&Process>,
    window: Window,
    span: Span,
) -> anyhow::Result<Seen> {
    let mut course = Course {
        crowd,
        publisher,
        window,
        published: 0,
    };
    course.run(span.warm_up)?;
    let mark = Mark::set(process, &course.crowd.tally)?;
    course.run(span.measured)?;
    let seen = mark.seen(process, &course.crowd.tally)?;
    drain(course.crowd, course.publisher, course.published)?;
    Ok(seen)
}

struct Course<'l> {
    crowd: &'l mut Crowd,
    publisher: &'l mut Publisher,
    window: Window,
    published: u64,
}

impl Course<'_> {
    fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let mut watchdog = Watchdog::new();
        while Instant::now() < end {
            self.publish()?;
            let timeout = Some(Duration::from_millis(100));
            self.crowd.turn(self.publisher, timeout)?;
            watchdog.look(&self.crowd.tally)?;
        }
        Ok(())
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let (delivered, subscribers) = (self.crowd.tally.deliveries, self.crowd.len() as u64);
        let room = self.window.room(self.published, delivered, subscribers);
        if room < self.window.grain() {
            return Ok(());
        }
        let (first, now) = (self.published, self.crowd.now_us());
        self.published += room;
        let numbers = first as u32..self.published as u32;
        let batch: Vec<_> = numbers.map(|number| Message::new(number, now)).collect();
        self.publisher.publish(&batch, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn a_window_holds_as_many_messages_as_may_be_on_their_way() {
        let (one, burst) = (Window(1), Window(256));
        assert_eq!(one.room(0, 0, 1_000), 1);
        assert_eq!(one.room(1, 999, 1_000), 0);
        assert_eq!(one.room(1, 1_000, 1_000), 1);
        assert_eq!(burst.room(0, 0, 100), 256);
        assert_eq!(burst.room(256, 6_400, 100), burst.grain());
    }
}
