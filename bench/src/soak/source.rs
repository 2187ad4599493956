use std::time::{Duration, Instant};

use anyhow::bail;
use rand::{Rng, rngs::StdRng};

use super::STEP_CRITICAL;
use crate::{
    message::Message,
    publisher::{Dialect, Publisher},
};

const PAUSE: Duration = Duration::from_millis(10);
/// A burst holds what is otherwise published in this time.
const BURST: Duration = Duration::from_secs(2);
const BATCH_MAX: u32 = 200;
/// A server that is this far behind is waited for.
const BATCHES_MAX: usize = 200;

/// Who publishes: at a steady rate, with bursts.
pub struct Source {
    pub publisher: Publisher,
    rate: u32,
    /// Number of the next message.
    pub next: u32,
    /// All below have been acknowledged.
    acknowledged: u32,
    due: Instant,
    next_burst: Instant,
    pub bursts: u32,
}

impl Source {
    pub fn new(control: std::net::SocketAddr, rate: u32) -> anyhow::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            publisher: Publisher::connect(control, Dialect::Control)?,
            rate,
            next: 0,
            acknowledged: 0,
            due: now,
            next_burst: now + BURST,
            bursts: 0,
        })
    }

    /// What is due now.
    pub fn publish(&mut self, rng: &mut StdRng) -> anyhow::Result<()> {
        let now = Instant::now();
        while self.due <= now {
            self.due += PAUSE;
            // Whole messages only, which are as many in the end.
            let each = f64::from(self.rate) * PAUSE.as_secs_f64();
            let count = each as u32 + u32::from(rng.random_bool(each.fract()));
            self.send(count)?;
        }
        if now >= self.next_burst {
            self.bursts += 1;
            self.next_burst = now + BURST * rng.random_range(2..8);
            self.send(self.rate * BURST.as_secs() as u32)?;
        }
        Ok(())
    }

    pub fn receive(&mut self) -> anyhow::Result<()> {
        let acknowledged = &mut self.acknowledged;
        self.publisher.receive(|count, _| *acknowledged += count)?;
        self.publisher.flush()
    }

    /// After the server was killed: what was not acknowledged is in the journal
    /// up to some message, or not. Goes on behind it.
    pub fn resume(
        &mut self,
        control: std::net::SocketAddr,
        newest: Option<u32>,
    ) -> anyhow::Result<()> {
        let stored = newest.map_or(0, |newest| newest + 1);
        if !(self.acknowledged..=self.next).contains(&stored) {
            bail!(
                "the journal ends before message {stored}, though all before {} were acknowledged and {} were published",
                self.acknowledged,
                self.next
            );
        }
        self.publisher = Publisher::connect(control, Dialect::Control)?;
        (self.next, self.acknowledged) = (stored, stored);
        self.due = Instant::now();
        Ok(())
    }

    fn send(&mut self, mut count: u32) -> anyhow::Result<()> {
        while count > 0 && self.publisher.under_way() < BATCHES_MAX {
            let size = count.min(BATCH_MAX);
            let numbers = self.next..self.next + size;
            let batch: Vec<_> = numbers
                .map(|number| Message {
                    is_critical: number % STEP_CRITICAL == 0,
                    ..Message::new(number, 0)
                })
                .collect();
            self.publisher.publish(&batch, Instant::now())?;
            self.next += size;
            count -= size;
        }
        Ok(())
    }
}
