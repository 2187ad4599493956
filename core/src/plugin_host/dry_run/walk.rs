use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    beside::{Beside, DELIVERIES_MAX, Really},
    candidate::Candidate,
    cast::Cast,
    span::Span,
};
use crate::{
    events::Frame,
    model::{
        AttemptOutcome, DryRun, DryRunDelivery, DryRunEvent, DryRunOutcome, DryRunSummary, EventId,
    },
    plugin_host::{
        HostError, PluginHost,
        capabilities::Rehearsal,
        delivery::seal,
        pipeline::Considered,
        sandbox::{DeliveryContext, DeliveryOutcome, GuestEvent},
    },
    store::{NewDelivery, PageRequest, PassedEvent, Store},
};

/// Events read at once.
const PAGE: usize = 256;
/// However many events are left.
const RUN_FOR: Duration = Duration::from_secs(20);

/// A way through past events, and what came of it so far.
pub(super) struct Walk {
    store: Store,
    journal: String,
    head: EventId,
    public_url: Option<String>,
    pipeline: String,
    cast: Cast,
    rehearsal: Arc<Rehearsal>,
    span: Span,
    beside: Beside,
    ends: Instant,
    notes: Vec<String>,
    events: Vec<DryRunEvent>,
    deliveries: Vec<DryRunDelivery>,
}

/// Why it ended before the time was over.
enum Stopped {
    Limit,
    Time,
}

impl Walk {
    pub fn new(
        host: &PluginHost,
        candidate: &Candidate,
        cast: Cast,
        rehearsal: Arc<Rehearsal>,
        span: Span,
    ) -> Result<Self, HostError> {
        let shared = host.shared();
        let head = shared.bus.head();
        Ok(Self {
            store: shared.store.clone(),
            journal: head.journal.to_string(),
            head: head.id,
            public_url: shared.public_url.clone(),
            pipeline: candidate.tried.pipeline().to_owned(),
            beside: Beside::of(&candidate.tried),
            notes: notes(candidate),
            cast,
            rehearsal,
            span,
            ends: Instant::now() + RUN_FOR,
            events: Vec::new(),
            deliveries: Vec::new(),
        })
    }

    pub async fn run(mut self) -> Result<DryRun, HostError> {
        let stopped = self.walk().await?;
        let over = self.cast.pipeline.rest();
        self.deliver_all(over.into_iter().collect()).await;
        self.beside_deliveries().await?;
        match stopped {
            None => {}
            Some(Stopped::Limit) => self.notes.push(format!(
                "there are more events: it stopped after {}; begin later, or ask for more with `limit`",
                self.span.limit
            )),
            Some(Stopped::Time) => self.notes.push(format!(
                "it took longer than {} s and was stopped: begin later, or lower limit",
                RUN_FOR.as_secs()
            )),
        }
        let forgotten = self.events.iter().filter(|it| it.really.is_empty());
        match forgotten.count() {
            0 => {}
            // A sink decides nothing; its deliveries stand beside.
            _ if self.beside.is_of_one_plugin() && !self.cast.sinks.is_empty() => {}
            count => self.notes.push(format!(
                "how {count} of these events really went is not known: it did not run then, or \
                 that is forgotten, after a day at the latest; they count as nothing else"
            )),
        }
        if self.rehearsal.is_cut() {
            self.notes
                .push("it made more requests than are shown".to_owned());
        }
        Ok(DryRun {
            since: self.span.since,
            until: self.span.until,
            complete: stopped.is_none(),
            notes: self.notes,
            summary: summary(&self.events, &self.deliveries),
            plugins: self.cast.shown(),
            events: self.events,
            deliveries: self.deliveries,
        })
    }

    async fn walk(&mut self) -> Result<Option<Stopped>, HostError> {
        let (filter, since) = (self.cast.pipeline.filter(), self.span.since);
        let first = self.store.read(move |reader| {
            let before = reader.last_before(since)?;
            Ok((before, reader.floor(&filter)?))
        });
        let (mut after, floor) = first.await?;
        if after < floor {
            self.notes.push(
                "the journal does not go back so far: older events are gone by retention"
                    .to_owned(),
            );
        }
        while after < self.head {
            let (filter, until) = (self.cast.pipeline.filter(), self.head);
            let page = self.store.read(move |reader| {
                let request = PageRequest {
                    until: Some(until),
                    ..PageRequest::new(after, PAGE)
                };
                reader.journal_page(&filter, &request)
            });
            let page = page.await?;
            let matching: Vec<Frame> = page
                .frames()
                .filter(|frame| {
                    let parts = frame.parts();
                    parts.time >= self.span.since && self.cast.pipeline.matches(&parts)
                })
                .collect();
            let really = self.beside.look_up(&self.store, &matching).await?;
            for (frame, really) in matching.iter().zip(really) {
                if self.events.len() == self.span.limit {
                    return Ok(Some(Stopped::Limit));
                }
                if Instant::now() >= self.ends {
                    return Ok(Some(Stopped::Time));
                }
                self.try_event(frame, really).await;
            }
            after = page.scanned_to;
        }
        Ok(None)
    }

    async fn try_event(&mut self, frame: &Frame, really: Really) {
        let time = frame.parts().time;
        // What was due before this event was sealed before it.
        let due = self.cast.pipeline.seal(time, None);
        self.deliver_all(due).await;
        self.rehearsal.set_now(time);
        let Considered {
            outcome,
            reason,
            steps,
            passed,
            writes,
        } = self.cast.pipeline.consider(frame).await;
        for (plugin, writes) in writes {
            self.cast.keep(&plugin, writes);
        }
        let requests = self.rehearsal.take_made();
        let differs = really.differs(outcome, &steps);
        let parts = frame.parts();
        self.events.push(DryRunEvent {
            id: frame.id(),
            kind: parts.kind.as_str().to_owned(),
            time,
            subject: subject(frame),
            severity: parts.severity,
            outcome,
            reason,
            steps,
            requests,
            really: really.traces,
            differs,
        });
        let sealed = self.cast.pipeline.seal(time, passed);
        self.deliver_all(sealed).await;
    }

    async fn deliver_all(&mut self, sealed: Vec<Vec<PassedEvent>>) {
        for events in sealed {
            for sink in 0..self.cast.sinks.len() {
                self.deliver(sink, &events).await;
            }
        }
    }

    async fn deliver(&mut self, sink: usize, events: &[PassedEvent]) {
        let (name, runner) = &mut self.cast.sinks[sink];
        let delivery = seal(&self.journal, &self.pipeline, name, events);
        let context = DeliveryContext {
            delivery_id: delivery.id.clone(),
            attempt: 1,
            first_attempt: self.rehearsal.now().to_string(),
            test: false,
            public_url: self.public_url.clone(),
        };
        runner.wake();
        let (outcome, reason) = match serde_json::from_str::<Vec<GuestEvent>>(&delivery.input) {
            Ok(events) => match runner.deliver(&context, &events).await {
                Ok(DeliveryOutcome::Ok) => (AttemptOutcome::Ok, None),
                Ok(DeliveryOutcome::Retry { reason, .. }) => (AttemptOutcome::Retry, Some(reason)),
                Ok(DeliveryOutcome::Reject(reason)) => (AttemptOutcome::Reject, Some(reason)),
                Err(error) => (AttemptOutcome::Fault, Some(error.to_string())),
            },
            Err(error) => (AttemptOutcome::Reject, Some(error.to_string())),
        };
        let writes = runner.take_writes();
        let NewDelivery {
            id, sink, events, ..
        } = delivery;
        self.cast.keep(&sink, writes);
        self.deliveries.push(DryRunDelivery {
            id,
            sink,
            events,
            outcome,
            reason,
            requests: self.rehearsal.take_made(),
            really: Vec::new(),
        });
    }

    async fn beside_deliveries(&mut self) -> Result<(), HostError> {
        if self.deliveries.is_empty() {
            return Ok(());
        }
        let sinks = self.cast.sinks.iter().map(|(name, _)| name.clone());
        let made = self.beside.deliveries(&self.store, sinks.collect()).await?;
        for delivery in &mut self.deliveries {
            delivery.really = made.of(&delivery.sink, &delivery.events);
        }
        if made.is_cut() {
            self.notes.push(format!(
                "what was really delivered is shown as far as the newest {DELIVERIES_MAX} \
                 deliveries say"
            ));
        }
        Ok(())
    }
}

fn notes(candidate: &Candidate) -> Vec<String> {
    let mut notes = Vec::new();
    let throttle = candidate.throttle();
    if throttle.startup_grace_s.is_some() {
        notes.push("startup_grace is left out: the starts of the past are not known".to_owned());
    }
    if throttle.cooldown_s.is_some() {
        notes.push("once_per begins with nothing remembered of before".to_owned());
    }
    notes
}

fn subject(frame: &Frame) -> String {
    #[derive(serde::Deserialize)]
    struct OfWhat {
        subject: String,
    }
    serde_json::from_str(frame.json()).map_or_else(|_| String::new(), |OfWhat { subject }| subject)
}

fn summary(events: &[DryRunEvent], deliveries: &[DryRunDelivery]) -> DryRunSummary {
    let count = |wanted| events.iter().filter(|it| it.outcome == wanted).count();
    let failed = deliveries.iter();
    DryRunSummary {
        events: events.len(),
        passed: count(DryRunOutcome::Passed),
        dropped: count(DryRunOutcome::Dropped),
        silent: count(DryRunOutcome::Silent),
        held: count(DryRunOutcome::Held),
        different: events.iter().filter(|event| event.differs).count(),
        deliveries: deliveries.len(),
        failed_deliveries: failed.filter(|it| it.outcome != AttemptOutcome::Ok).count(),
    }
}
