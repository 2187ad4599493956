use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Inbox, backoff,
    inbox::Stored,
    publish_status,
    verdict::{Verdict, end, judge, judge_fault, severity},
};
use crate::{
    failpoint::{self, Failpoint},
    model::{AttemptOutcome, TestOutcome, Timestamp},
    plugin_host::{
        clip::clipped,
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
    pub inbox: Arc<Inbox>,
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
    /// With the promise that it will be stored, where it may not be yet.
    Deliver(Box<QueuedDelivery>, Option<Stored>),
    WaitUntil(Instant),
    WaitForMore,
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
                Work::Deliver(queued, stored) => {
                    match self.deliver(*queued, stored, &token).await {
                        Some(next) => Some(next),
                        None => return,
                    }
                }
                Work::WaitUntil(at) => Some(at),
                Work::WaitForMore => None,
            };
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                Some(test) = self.tests.recv() => self.test(test).await,
                () = self.inbox.news() => {}
                () = self.runner.news() => {}
                () = sleep_until(deadline) => {}
            }
        }
    }

    async fn next_work(&self) -> Result<Work, StoreError> {
        if let Some((queued, stored)) = self.inbox.take() {
            return Ok(Work::Deliver(Box::new(queued), Some(stored)));
        }
        self.inbox.look();
        let sink = self.runner.plugin().to_owned();
        let next = self
            .store
            .read(move |reader| reader.next_delivery(&sink))
            .await?;
        let Some(queued) = next else {
            self.inbox.rest();
            return Ok(Work::WaitForMore);
        };
        let paused = self.pause.as_ref();
        let paused = paused.filter(|pause| pause.delivery == queued.delivery.id);
        Ok(
            match backoff::due(&queued, paused.map(|pause| pause.until)) {
                Some(due) if due > Instant::now() => Work::WaitUntil(due),
                _ => Work::Deliver(Box::new(queued), None),
            },
        )
    }

    /// One attempt, and its record; when to look for the next one. `None` when the
    /// server stops meanwhile. What was handed over is not written down before it is stored.
    async fn deliver(
        &mut self,
        queued: QueuedDelivery,
        stored: Option<Stored>,
        token: &CancellationToken,
    ) -> Option<Instant> {
        let attempt = self.attempt(&queued).await;
        if let Some(stored) = stored
            && stored.await.is_err()
        {
            // Its pipeline has ended, and will make it again, under the same id.
            let _writes: Vec<PluginWrite> = self.runner.take_writes();
            return Some(Instant::now());
        }
        let record = match attempt {
            Ok(record) => record,
            Err(again) => return Some(again),
        };
        self.write_down(queued.delivery.id, record, token).await?;
        Some(Instant::now())
    }

    /// When to look again, where none was made.
    async fn attempt(&mut self, queued: &QueuedDelivery) -> Result<AttemptRecord, Instant> {
        let at = Timestamp::now();
        let first_attempt = queued.first_attempt.unwrap_or(at);
        let context = DeliveryContext {
            delivery_id: queued.delivery.id.clone(),
            attempt: queued.delivery.attempts + 1,
            first_attempt: first_attempt.to_string(),
            test: false,
            public_url: self.public_url.clone(),
        };
        let verdict = match serde_json::from_str::<Vec<GuestEvent>>(&queued.input) {
            Ok(events) => match self.runner.deliver(&context, &events).await {
                Err(RunError::Absent { .. }) => return Err(Instant::now()),
                Err(RunError::Resting { for_another, .. }) => {
                    return Err(Instant::now() + for_another);
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
            .or_split(queued, &events),
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
        Ok(AttemptRecord {
            latency_ms: i64::try_from(Timestamp::now().ms_since(at)).unwrap_or(i64::MAX),
            at,
            outcome: verdict.outcome,
            reason: verdict.reason.map(clipped),
            by: self.runner.identity(),
            next: verdict.next,
        })
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
