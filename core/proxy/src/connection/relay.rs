//! Bytes between a client and one upstream, until one of them ends or the
//! connection may go elsewhere.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use tokio::net::TcpStream;

use super::{client::Client, pipe::End};
use crate::{http::Conversation, switch::Switch, upstream::Place};

pub struct Relay<'a> {
    client: &'a mut Client,
    upstream: TcpStream,
    place: Place,
    switch: &'a Switch,
    /// Both directions share the turns that a task has: who comes first
    /// changes, so that neither starves.
    is_up_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more is to be said.
    Over,
    /// The route leads elsewhere, and nobody notices when the client goes there.
    Moved,
    /// One side broke off; the other one must not take that for a proper end.
    Broken,
}

impl<'a> Relay<'a> {
    pub const fn new(
        client: &'a mut Client,
        upstream: TcpStream,
        place: Place,
        switch: &'a Switch,
    ) -> Self {
        Self {
            client,
            upstream,
            place,
            switch,
            is_up_first: false,
        }
    }

    pub async fn run(mut self) -> Outcome {
        let mut target = self.switch.watch();
        let mut cut = self.place.watch_cut();
        let outcome = loop {
            tokio::select! {
                outcome = poll_fn(|cx| self.poll(cx)) => break outcome,
                // Looks at once whether it may go.
                Ok(()) = target.changed() => {}
                Ok(()) = cut.changed() => break Outcome::Broken,
            }
        };
        if outcome == Outcome::Broken {
            reset(&self.upstream);
            reset(&self.client.stream);
        }
        outcome
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.is_up_first = !self.is_up_first;
        let polled = if self.is_up_first {
            [self.poll_up(cx), self.poll_down(cx)]
        } else {
            [self.poll_down(cx), self.poll_up(cx)]
        };
        let conversation = &self.client.conversation;
        self.place.set_idle(conversation.is_idle());
        for direction in polled {
            if let Poll::Ready(Err(outcome)) = direction {
                return Poll::Ready(outcome);
            }
        }
        if self.may_move() {
            return Poll::Ready(Outcome::Moved);
        }
        if self.is_over() {
            return Poll::Ready(Outcome::Over);
        }
        Poll::Pending
    }

    /// From the client to the upstream, as far as it goes for now.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        loop {
            self.release();
            let Client { stream, up, .. } = &mut *self.client;
            if up.is_done() {
                return Poll::Ready(Ok(()));
            }
            let mut written = ready!(up.poll_write(cx, &mut self.upstream));
            if written.is_ok() && !up.is_empty() {
                // The next request waits for the answers to those before it.
                return Poll::Pending;
            }
            if written.is_ok() && up.end() == End::Seen {
                written = ready!(up.poll_pass_on_end(cx, &mut self.upstream));
            }
            if written.is_err() {
                // The upstream may have answered all the same.
                up.refuse();
            }
            if up.is_done() {
                return Poll::Ready(Ok(()));
            }
            match ready!(up.poll_read(cx, stream)) {
                Ok(_) => {}
                Err(_) => return Poll::Ready(Err(Outcome::Broken)),
            }
        }
    }

    /// From the upstream to the client, as far as it goes for now.
    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Outcome>> {
        loop {
            let has_ended = self.client.down.end() == End::Seen;
            if self.client.down.is_done() || (has_ended && self.may_move()) {
                return Poll::Ready(Ok(()));
            }
            let Client {
                stream,
                down,
                conversation,
                ..
            } = &mut *self.client;
            if ready!(down.poll_write(cx, stream)).is_err() {
                return Poll::Ready(Err(Outcome::Broken));
            }
            if has_ended {
                let told = ready!(down.poll_pass_on_end(cx, stream));
                return Poll::Ready(told.map_err(|_| Outcome::Broken));
            }
            match ready!(down.poll_read(cx, &mut self.upstream)) {
                Ok(count) => {
                    conversation.response(down.held());
                    down.release(count);
                    self.place.add_to_client(count);
                }
                Err(_) => return Poll::Ready(Err(self.broken_by_upstream())),
            }
        }
    }

    /// Lets through what the client has said. A request that has not begun
    /// waits when it is to go elsewhere.
    fn release(&mut self) {
        while !self.client.up.held().is_empty() && !self.must_wait() {
            let Client {
                up, conversation, ..
            } = &mut *self.client;
            let count = conversation.request(up.held());
            up.release(count);
            self.place.add_to_upstream(count);
        }
    }

    fn must_wait(&self) -> bool {
        self.client.conversation.is_between_requests()
            && self.client.down.end() == End::Open
            && self.has_moved()
    }

    fn has_moved(&self) -> bool {
        !self.switch.leads_to(&self.place.upstream)
    }

    fn may_move(&self) -> bool {
        let Client {
            up,
            down,
            conversation,
            ..
        } = &*self.client;
        let is_at_rest = conversation.is_idle() || matches!(conversation, Conversation::Untouched);
        is_at_rest
            && !up.has_released()
            && up.end() == End::Open
            && !down.is_done()
            && self.has_moved()
    }

    fn is_over(&self) -> bool {
        let Client {
            up,
            down,
            conversation,
            ..
        } = &*self.client;
        if up.has_released() || !down.is_empty() {
            return false;
        }
        // With nothing under way, the end of one side is the end of both.
        let is_end_of_both = conversation.is_idle() && (up.is_done() || down.is_done());
        conversation.is_over() || is_end_of_both || (up.is_done() && down.is_done())
    }

    fn broken_by_upstream(&self) -> Outcome {
        if self.may_move() {
            Outcome::Moved
        } else if self.client.conversation.is_answered() {
            // What it said last is whole, and reaches the client.
            Outcome::Over
        } else {
            Outcome::Broken
        }
    }
}

/// Closing the socket will tell the other side that this was no proper end.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection that broke off ends as if it were whole");
    }
}
