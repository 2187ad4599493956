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
    let mut published = 0;
    let mut run =
        |crowd: &mut Crowd, publisher: &mut Publisher, time: Duration| -> anyhow::Result<()> {
            let end = Instant::now() + time;
            let subscribers = crowd.len() as u64;
            let mut watchdog = Watchdog::new();
            loop {
                let room = window.room(published, crowd.tally.deliveries, subscribers);
                if room >= window.grain() {
                    let now = crowd.now_us();
                    let numbers = published as u32..(published + room) as u32;
                    let batch: Vec<_> = numbers.map(|number| Message::new(number, now)).collect();
                    publisher.publish(&batch)?;
                    published += room;
                }
                crowd.turn(publisher, Some(Duration::from_millis(100)))?;
                watchdog.look(&crowd.tally)?;
                if Instant::now() >= end {
                    return Ok(());
                }
            }
        };
    run(crowd, publisher, span.warm_up)?;
    let mark = Mark::set(process, &crowd.tally)?;
    run(crowd, publisher, span.measured)?;
    let seen = mark.seen(process, &crowd.tally)?;
    drain(crowd, publisher, published)?;
    Ok(seen)
}
