use std::time::{Duration, Instant};

use super::{Crowd, Span, drain};
use crate::{message::Message, publisher::Publisher};

/// Messages a second, whatever becomes of them.
#[derive(Debug, Clone, Copy)]
pub struct Rate(pub f64);

/// Publishes at fixed times, and says how long each delivery took from the
/// time at which its message was due, in µs, sorted.
pub fn open_loop(
    crowd: &mut Crowd,
    publisher: &mut Publisher,
    rate: Rate,
    span: Span,
) -> anyhow::Result<Vec<u32>> {
    let pause = Duration::from_secs_f64(1.0 / rate.0);
    let began = Instant::now();
    let (measured_from, end) = (began + span.warm_up, began + span.warm_up + span.measured);
    let (mut due, mut published) = (began, 0_u32);
    while due < end {
        let now = Instant::now();
        if now >= due {
            if due >= measured_from {
                crowd.tally.latencies.get_or_insert_default();
            }
            let message = Message::new(published, crowd.us_at(due));
            publisher.publish(&[message], due)?;
            published += 1;
            due += pause;
        } else {
            // The kernel rounds up to whole milliseconds, which would be late.
            let pause = Duration::from_millis((due - now).as_millis() as u64);
            crowd.turn(publisher, Some(pause))?;
        }
    }
    drain(crowd, publisher, published.into())?;
    let mut latencies = crowd.tally.latencies.take().unwrap_or_default();
    latencies.sort_unstable();
    Ok(latencies)
}
