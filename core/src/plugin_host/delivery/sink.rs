use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{backoff, publish_status, seal};
use crate::{
    failpoint::{self, Failpoint},
    model::{AttemptOutcome, Severity, TestOutcome, Timestamp},
    plugin_host::{
        clip::clipped,
        metrics::DeliveryEnd,
        plugin::{RunError, Runner},
        sandbox::{DeliveryContext, DeliveryOutcome, GuestEvent},
    },
    store::{
        AfterAttempt, AttemptRecord, PluginWrite, QueuedDelivery, RETRY_STORE, Store, StoreError,
    },
};

/// Where tests for a sink are put; short, since somebody is waiting.
pub type TestMailbox = mpsc::Sender<TestRequested>;

/// Somebody wants to see whether messages arrive.
pub struct TestRequested {
    pub event: GuestEvent,
    pub reply: oneshot::Sender<TestOutcome>,
}

/// The one task of a sink. Owns its guest and works off its queue.
pub struct SinkTask {
    pub runner: Runner,
    pub store: Store,
    /// There are new deliveries.
    pub wake: Arc<Notify>,
    pub tests: mpsc::Receiver<TestRequested>,
    pub public_url: Option<String>,
    pub pause: Option<Pause>,
}

/// Between two attempts of a delivery.
pub struct Pause {
    delivery: String,
    until: Instant,
}

/// What the next step is.
enum Work {
    Deliver(Box<QueuedDelivery>),
    WaitUntil(Instant),
    WaitForMore,
}

/// What came of an attempt.
struct Verdict {
    outcome: AttemptOutcome,
    reason: Option<String>,
    next: AfterAttempt,
}

impl Verdict {
    /// What is given up is tried again in halves, where there are several events.
    fn or_split(self, queued: &QueuedDelivery, events: &[GuestEvent]) -> Self {
        let halves = match self.next {
            AfterAttempt::Dead if self.outcome != AttemptOutcome::Retry => {
                seal::halves(queued, events)
            }
            _ => None,
        };
        match halves {
            Some(halves) => Self {
                next: AfterAttempt::Split(halves.into()),
                ..self
            },
            None => self,
        }
    }
}

impl SinkTask {
    /// Until cancelled; an attempt that has begun is ended and written down.
    pub async fn run(mut self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = self.runner.until_present() => {}
            }
            let work = match self.next_work().await {
                Ok(work) => work,
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(sink = self.runner.plugin(), %error, "the queue cannot be read now");
                    Work::WaitUntil(Instant::now() + RETRY_STORE)
                }
            };
            let deadline = match work {
                Work::Deliver(queued) => match self.deliver(*queued, &token).await {
                    Some(next) => Some(next),
                    None => return,
                },
                Work::WaitUntil(at) => Some(at),
                Work::WaitForMore => None,
            };
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                Some(test) = self.tests.recv() => self.test(test).await,
                () = self.wake.notified() => {}
                () = self.runner.news() => {}
                () = sleep_until(deadline) => {}
            }
        }
    }

    async fn next_work(&self) -> Result<Work, StoreError> {
        let sink = self.runner.plugin().to_owned();
        let next = self
            .store
            .read(move |reader| reader.next_delivery(&sink))
            .await?;
        let Some(queued) = next else {
            return Ok(Work::WaitForMore);
        };
        let paused = self.pause.as_ref();
        let paused = paused.filter(|pause| pause.delivery == queued.delivery.id);
        Ok(
            match backoff::due(&queued, paused.map(|pause| pause.until)) {
                Some(due) if due > Instant::now() => Work::WaitUntil(due),
                _ => Work::Deliver(Box::new(queued)),
            },
        )
    }

    /// One attempt, and its record; when to look for the next one. `None` when the
    /// server stops meanwhile.
    async fn deliver(
        &mut self,
        queued: QueuedDelivery,
        token: &CancellationToken,
    ) -> Option<Instant> {
        let at = Timestamp::now();
        let attempt = queued.delivery.attempts + 1;
        let first_attempt = queued.first_attempt.unwrap_or(at);
        let context = DeliveryContext {
            delivery_id: queued.delivery.id.clone(),
            attempt,
            first_attempt: first_attempt.to_string(),
            test: false,
            public_url: self.public_url.clone(),
        };
        let verdict = match serde_json::from_str::<Vec<GuestEvent>>(&queued.input) {
            Ok(events) => {
                let answer = self.runner.deliver(&context, &events).await;
                match answer {
                    // No attempt was made.
                    Err(RunError::Absent { .. }) => return Some(Instant::now()),
                    Err(RunError::Resting { for_another, .. }) => {
                        return Some(Instant::now() + for_another);
                    }
                    Ok(outcome) => judge(outcome, queued.tries + 1, first_attempt),
                    Err(fault @ RunError::Fault { was_asked, .. }) => {
                        let reason = fault.to_string();
                        if was_asked {
                            judge_fault(reason, queued.faults + 1)
                        } else {
                            // It says nothing about this delivery.
                            let retry = DeliveryOutcome::Retry {
                                after_ms: None,
                                reason,
                            };
                            judge(retry, queued.tries + 1, first_attempt)
                        }
                    }
                }
                .or_split(&queued, &events)
            }
            Err(error) => Verdict {
                outcome: AttemptOutcome::Reject,
                reason: Some(format!("the stored delivery is damaged: {error}")),
                next: AfterAttempt::Dead,
            },
        };
        failpoint::reached(Failpoint::DeliveryAttempted);
        if let AfterAttempt::RetryAt(at) = verdict.next {
            self.pause = Some(Pause {
                delivery: queued.delivery.id.clone(),
                until: Instant::now() + Duration::from_millis(at.ms_since(Timestamp::now())),
            });
        }
        let record = AttemptRecord {
            latency_ms: i64::try_from(Timestamp::now().ms_since(at)).unwrap_or(i64::MAX),
            at,
            outcome: verdict.outcome,
            reason: verdict.reason.map(clipped),
            by: self.runner.identity(),
            next: verdict.next,
        };
        self.write_down(queued.delivery.id, record, token).await?;
        Some(Instant::now())
    }

    /// What the sink wrote and the attempt's record, in one transaction.
    async fn write_down(
        &mut self,
        id: String,
        record: AttemptRecord,
        token: &CancellationToken,
    ) -> Option<()> {
        let (plugin, writes) = (self.runner.plugin().to_owned(), self.runner.take_writes());
        let end = end(&record.next);
        loop {
            let (id, record) = (id.clone(), record.clone());
            let (owner, writes) = (plugin.clone(), writes.clone());
            let written = self.store.write(move |tx| {
                tx.apply_plugin_writes(&owner, &writes)?;
                if let Some(delivery) = tx.record_attempt(&id, &record)? {
                    publish_status(tx, &delivery, severity(&record.next))?;
                }
                Ok(())
            });
            match written.await {
                Ok(()) => {
                    failpoint::reached(Failpoint::DeliveryRecorded);
                    self.runner.metrics().deliveries.add(end);
                    return Some(());
                }
                Err(StoreError::Closed) => return None,
                Err(error) => {
                    tracing::warn!(sink = plugin, %error, "an attempt is not written down yet");
                    wait(RETRY_STORE, token).await?;
                }
            }
        }
    }

    async fn test(&mut self, test: TestRequested) {
        let started = Instant::now();
        let now = Timestamp::now();
        let context = DeliveryContext {
            delivery_id: format!("test-{}", now.unix_ms()),
            attempt: 1,
            first_attempt: now.to_string(),
            test: true,
            public_url: self.public_url.clone(),
        };
        let answer = self.runner.deliver(&context, &[test.event]).await;
        let (outcome, detail) = match answer {
            Ok(DeliveryOutcome::Ok) => (AttemptOutcome::Ok, "the target took it".to_owned()),
            Ok(DeliveryOutcome::Retry { reason, .. }) => (AttemptOutcome::Retry, reason),
            Ok(DeliveryOutcome::Reject(reason)) => (AttemptOutcome::Reject, reason),
            Err(error) => (AttemptOutcome::Fault, error.to_string()),
        };
        // A test leaves nothing behind.
        let _writes: Vec<PluginWrite> = self.runner.take_writes();
        let outcome = TestOutcome {
            outcome,
            detail,
            latency_ms: i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX),
            requests: self.runner.take_requests(),
        };
        // Whoever asked may have gone.
        let _ = test.reply.send(outcome);
    }
}

/// `tries`: with this one, since the first attempt.
fn judge(outcome: DeliveryOutcome, tries: u32, first_attempt: Timestamp) -> Verdict {
    let now = Timestamp::now();
    match outcome {
        DeliveryOutcome::Ok => Verdict {
            outcome: AttemptOutcome::Ok,
            reason: None,
            next: AfterAttempt::Delivered,
        },
        DeliveryOutcome::Reject(reason) => Verdict {
            outcome: AttemptOutcome::Reject,
            reason: Some(reason),
            next: AfterAttempt::Dead,
        },
        DeliveryOutcome::Retry { reason, .. } if backoff::gives_up(first_attempt, tries, now) => {
            Verdict {
                outcome: AttemptOutcome::Retry,
                reason: Some(format!(
                    "given up after {tries} attempts in three days: {reason}"
                )),
                next: AfterAttempt::Dead,
            }
        }
        DeliveryOutcome::Retry { after_ms, reason } => Verdict {
            outcome: AttemptOutcome::Retry,
            reason: Some(reason),
            next: retry_in(backoff::pause(tries, after_ms), now),
        },
    }
}

/// A delivery on which the plugin itself fails again and again is poison.
fn judge_fault(reason: String, faults: u32) -> Verdict {
    let next = if backoff::faulty_for_good(faults) {
        AfterAttempt::Dead
    } else {
        retry_in(backoff::pause(faults, None), Timestamp::now())
    };
    Verdict {
        outcome: AttemptOutcome::Fault,
        reason: Some(reason),
        next,
    }
}

fn retry_in(pause: Duration, now: Timestamp) -> AfterAttempt {
    AfterAttempt::RetryAt(now.plus_ms(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)))
}

const fn end(next: &AfterAttempt) -> DeliveryEnd {
    match next {
        AfterAttempt::Delivered => DeliveryEnd::Sent,
        AfterAttempt::RetryAt(_) | AfterAttempt::Split(_) => DeliveryEnd::Failed,
        AfterAttempt::Dead => DeliveryEnd::Dead,
    }
}

const fn severity(next: &AfterAttempt) -> Severity {
    match next {
        AfterAttempt::Delivered => Severity::Debug,
        AfterAttempt::RetryAt(_) | AfterAttempt::Split(_) => Severity::Warning,
        AfterAttempt::Dead => Severity::Error,
    }
}

/// What is due already waits for no timer, which is a millisecond late.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) if at <= Instant::now() => {}
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn wait(time: Duration, token: &CancellationToken) -> Option<()> {
    tokio::select! {
        () = token.cancelled() => None,
        () = tokio::time::sleep(time) => Some(()),
    }
}
