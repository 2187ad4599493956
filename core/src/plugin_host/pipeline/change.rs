use std::collections::BTreeMap;

use super::decide::{Annotation, Decided};
use crate::{
    model::{Actor, EventAnnotatedPayload, EventId, NewEvent, Payload, Severity, Subject},
    plugin_host::delivery::publish_status,
    store::{PipelineProgress, StoreError, Tx},
};

/// One transaction of a pipeline.
pub(super) struct Change {
    pub pipeline: String,
    /// Those that get deliveries.
    pub sinks: Vec<String>,
    pub cursor: EventId,
    pub decided: Decided,
}

impl Change {
    pub fn apply(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Decided {
            seen,
            drops,
            annotations,
            deliveries,
            writes,
        } = &self.decided;
        for delivery in deliveries {
            tx.insert_delivery(delivery)?;
        }
        for sink in &self.sinks {
            for shed in tx.shed_overflow(sink)? {
                publish_status(tx, &shed, Severity::Error)?;
            }
        }
        tx.add_drops(&self.pipeline, drops)?;
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
                skipped: 0,
            },
        )
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
