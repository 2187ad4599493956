//! What is told of the engine itself, and of the times in which nobody watched.

use super::watcher::Watcher;
use crate::{
    model::{
        Actor, NewEvent, Payload, Severity, Subject, SystemPayload, Timestamp, WatchGapPayload,
    },
    store::StoreError,
};

impl Watcher {
    pub(super) async fn connected(&mut self) -> Result<(), StoreError> {
        let version = self.engine.connection().borrow().version.clone();
        let version = version.unwrap_or_default();
        let message = format!("Docker {version} connected");
        self.say("engine_connected", Severity::Info, message)
            .await?;
        if !std::mem::take(&mut self.first_connection) {
            return Ok(());
        }
        // Now it is known how its clock goes.
        self.past = self.engine.time_at(self.past);
        self.complete_until = self.past;
        if let Some(last) = self.last_sign {
            let reason = "the server was not running";
            self.gap(last, Timestamp::now(), reason).await?;
        }
        Ok(())
    }

    pub(super) async fn lost(&mut self) -> Result<(), StoreError> {
        let error = self.engine.connection().borrow().error.clone();
        let message = error.unwrap_or_else(|| "the connection to the engine broke".into());
        self.say("engine_lost", Severity::Error, message).await
    }

    pub(super) async fn gap(
        &self,
        from: Timestamp,
        to: Timestamp,
        reason: &str,
    ) -> Result<(), StoreError> {
        let payload = Payload::WatchGap(WatchGapPayload {
            from,
            to,
            reason: reason.to_owned(),
        });
        self.publish(Severity::Warning, payload).await
    }

    async fn say(&self, what: &str, severity: Severity, message: String) -> Result<(), StoreError> {
        self.publish(
            severity,
            Payload::System(SystemPayload {
                what: what.into(),
                message,
            }),
        )
        .await
    }

    async fn publish(&self, severity: Severity, payload: Payload) -> Result<(), StoreError> {
        let actor = Actor::system("watcher");
        let event = NewEvent::new(Subject::other("engine"), severity, actor, payload);
        self.store
            .write(move |tx| tx.publish(event).map(drop))
            .await
    }
}
