use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::store::{NewDelivery, QueuedDelivery};

/// Where a sink's task hears that there are deliveries. One that has nothing to do is given
/// the next at once, and makes it while it is stored.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Default)]
struct State {
    /// The queue was empty, and nothing has come since.
    is_idle: bool,
    /// Something has come since the queue was last looked at.
    was_rung: bool,
    handed: Option<(QueuedDelivery, Stored)>,
}

/// Tells once a delivery is stored; an error when it will not be.
pub(super) type Stored = oneshot::Receiver<()>;

/// Promises to a sink that what it was handed will be stored; to be told once it is.
pub struct HandedOver(oneshot::Sender<()>);

impl HandedOver {
    pub fn stored(self) {
        // A sink that has ended does not wait for it.
        let _ = self.0.send(());
    }
}

impl Inbox {
    /// There is something new in the queue.
    pub fn ring(&self) {
        let mut state = self.state();
        (state.is_idle, state.was_rung) = (false, true);
        drop(state);
        self.news.notify_one();
    }

    /// Gives the sink a delivery that is about to be stored. `None` while others wait, which
    /// come first.
    pub fn hand_over(&self, delivery: &NewDelivery) -> Option<HandedOver> {
        let mut state = self.state();
        if !std::mem::take(&mut state.is_idle) {
            return None;
        }
        let (sender, stored) = oneshot::channel();
        state.handed = Some((delivery.queued(), stored));
        drop(state);
        self.news.notify_one();
        Some(HandedOver(sender))
    }

    /// Before the queue is looked at.
    pub(super) fn look(&self) {
        let mut state = self.state();
        (state.is_idle, state.was_rung) = (false, false);
    }

    /// The queue was empty.
    pub(super) fn rest(&self) {
        let mut state = self.state();
        state.is_idle = !state.was_rung;
    }

    pub(super) fn take(&self) -> Option<(QueuedDelivery, Stored)> {
        self.state().handed.take()
    }

    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Inbox;
    use crate::{model::EventId, store::NewDelivery};

    fn delivery(event: i64) -> NewDelivery {
        NewDelivery {
            id: format!("of-{event}"),
            pipeline: "all".into(),
            sink: "hook".into(),
            subject: String::new(),
            events: vec![EventId(event)],
            input: "[]".into(),
        }
    }

    fn taken(inbox: &Inbox) -> Option<String> {
        Some(inbox.take()?.0.delivery.id)
    }

    #[test]
    fn a_sink_is_handed_one_delivery_and_only_while_nothing_waits_before_it() {
        let inbox = Inbox::default();
        assert!(inbox.hand_over(&delivery(1)).is_none(), "it has not looked");
        inbox.look();
        assert!(inbox.hand_over(&delivery(1)).is_none(), "it looks now");
        inbox.rest();
        assert!(inbox.hand_over(&delivery(1)).is_some());
        assert!(inbox.hand_over(&delivery(2)).is_none(), "it has one");
        assert_eq!(taken(&inbox).as_deref(), Some("of-1"));
        assert!(inbox.hand_over(&delivery(2)).is_none(), "it makes one");
        assert_eq!(taken(&inbox), None);
    }

    #[test]
    fn what_comes_while_a_sink_looks_into_its_queue_is_looked_for_again() {
        let inbox = Inbox::default();
        inbox.look();
        inbox.ring();
        inbox.rest();
        assert!(inbox.hand_over(&delivery(2)).is_none(), "1 is in the queue");
        inbox.look();
        inbox.rest();
        assert!(inbox.hand_over(&delivery(2)).is_some());
    }

    #[tokio::test]
    async fn a_sink_hears_that_what_it_was_handed_is_stored_or_will_not_be() {
        for is_stored in [true, false] {
            let inbox = Inbox::default();
            inbox.look();
            inbox.rest();
            let handed = inbox.hand_over(&delivery(1)).expect("it rests");
            inbox.news().await;
            let (_, stored) = inbox.take().expect("a delivery");
            if is_stored {
                handed.stored();
            } else {
                drop(handed);
            }
            assert_eq!(stored.await.is_ok(), is_stored);
        }
    }
}
