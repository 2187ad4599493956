use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::decide::{Annotation, Decided};
use crate::{
    model::{
        Actor, EventAnnotatedPayload, EventId, NewEvent, Payload, Severity, Subject, Timestamp,
    },
    plugin_host::delivery::publish_status,
    store::{NewDelivery, NewTraces, PassedEvent, PipelineProgress, StoreError, Tx},
};

/// One transaction of a pipeline.
pub(super) struct Change {
    pub pipeline: String,
    pub cursor: EventId,
    /// Events that retention took on the way there.
    pub skipped: i64,
    pub decided: Decided,
    pub traces: Option<NewTraces>,
    pub deliveries: Vec<NewDelivery>,
    pub batch: BatchChange,
    pub once: Option<OnceChange>,
}

/// What becomes of the batch that is open.
#[derive(Default)]
pub(super) struct BatchChange {
    /// Its members up to this one have been sealed.
    pub sealed_to: Option<EventId>,
    pub added: Vec<PassedEvent>,
}

/// What has to be remembered, and what need not be any longer.
pub(super) struct OnceChange {
    pub passed: Vec<(String, Timestamp)>,
    pub cooldown: Duration,
}

impl Change {
    /// Says which sinks had no room for a delivery, one entry for each.
    pub fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
        let Decided {
            seen,
            drops,
            annotations,
            writes,
            traces: _,
            passed: _,
        } = &self.decided;
        for delivery in &self.deliveries {
            tx.insert_delivery(delivery)?;
        }
        if let Some(last) = self.batch.sealed_to {
            tx.close_batch(&self.pipeline, last)?;
        }
        tx.add_to_batch(&self.pipeline, &self.batch.added)?;
        if let Some(once) = &self.once {
            tx.remember_passed(&self.pipeline, &once.passed, once.cooldown)?;
        }
        let mut shed_by = Vec::new();
        for sink in self.sinks() {
            for shed in tx.shed_overflow(sink)? {
                publish_status(tx, &shed, Severity::Error)?;
                shed_by.push(shed.sink);
            }
        }
        tx.add_drops(&self.pipeline, drops)?;
        if let Some(traces) = &self.traces {
            tx.add_traces(&self.pipeline, traces)?;
        }
        for annotation in annotations {
            tx.annotate(
                annotation.event,
                &annotation.plugin,
                &annotation.json.to_string(),
            )?;
            tx.publish(annotated(annotation))?;
        }
        for (plugin, writes) in writes {
            tx.apply_plugin_writes(plugin, writes)?;
        }
        tx.advance_pipeline(
            &self.pipeline,
            &PipelineProgress {
                cursor: self.cursor,
                seen: *seen,
                dropped: drops.len() as i64,
                skipped: self.skipped,
            },
        )?;
        Ok(shed_by)
    }

    /// Those that get deliveries, each once.
    pub fn sinks(&self) -> BTreeSet<&str> {
        let sinks = self.deliveries.iter();
        sinks.map(|delivery| delivery.sink.as_str()).collect()
    }
}

fn annotated(annotation: &Annotation) -> NewEvent {
    let fields = match &annotation.json {
        serde_json::Value::Object(fields) => fields.clone().into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let payload = Payload::EventAnnotated(EventAnnotatedPayload {
        event: annotation.event,
        plugin: annotation.plugin.clone(),
        annotations: fields,
    });
    NewEvent::new(
        Subject::other(format!("plugins/{}", annotation.plugin)),
        Severity::Debug,
        Actor::plugin(&annotation.plugin),
        payload,
    )
    .caused_by(Some(annotation.event))
}
