//! How far a conversation in HTTP/1.x has come. Free of I/O: it looks at the
//! bytes that pass, and changes none.
//!
//! It is asked one thing: whether the connection to the upstream could be
//! exchanged now for another one without anybody noticing. Where that is not
//! certain, the conversation is opaque from then on, and stays where it is.

mod body;
mod head;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use body::Body;
use head::{HeadBytes, Method, RequestHead, ResponseHead};

/// A client that sends more requests ahead of their answers is not followed.
const UNANSWERED_MAX: usize = 1024;

/// It cannot be told for certain where this message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unframed;

#[derive(Debug, Default)]
pub enum Conversation {
    /// Neither side has said anything.
    #[default]
    Untouched,
    Http(Exchanges),
    /// Another protocol, or what cannot be followed.
    Opaque,
}

/// Requests and their responses, in order.
#[derive(Debug, Default)]
pub struct Exchanges {
    requests: Reader,
    responses: Reader,
    /// Requests whose response has not ended, the oldest first.
    unanswered: VecDeque<Asked>,
    /// One side has said that the connection ends with what is under way.
    is_last: bool,
}

/// What comes next in one direction.
#[derive(Debug, Default)]
enum Reader {
    /// Another message, or nothing.
    #[default]
    Between,
    Head(HeadBytes),
    Body(Body),
}

#[derive(Debug)]
struct Asked {
    method: Method,
    awaits_continue: bool,
}

impl Conversation {
    /// One that was followed elsewhere before.
    pub fn between_exchanges() -> Self {
        Self::Http(Exchanges::default())
    }

    /// Looks at what the client says, up to the end of one request at most.
    /// Answers with the number of bytes looked at.
    pub fn request(&mut self, bytes: &[u8]) -> usize {
        self.follow(|exchanges| exchanges.request(bytes))
            .unwrap_or(bytes.len())
    }

    /// Looks at what the upstream says.
    pub fn response(&mut self, bytes: &[u8]) {
        self.follow(|exchanges| exchanges.response(bytes));
    }

    fn follow<T>(&mut self, look: impl FnOnce(&mut Exchanges) -> Result<T, Unframed>) -> Option<T> {
        if matches!(self, Self::Untouched) {
            *self = Self::between_exchanges();
        }
        let Self::Http(exchanges) = self else {
            return None;
        };
        let looked = look(exchanges).ok();
        if looked.is_none() {
            *self = Self::Opaque;
        }
        looked
    }

    /// What the client says next begins a request, or the conversation.
    pub fn is_between_requests(&self) -> bool {
        match self {
            Self::Untouched => true,
            Self::Http(exchanges) => matches!(exchanges.requests, Reader::Between),
            Self::Opaque => false,
        }
    }

    /// All that was asked is answered, and more may be asked.
    pub fn is_idle(&self) -> bool {
        matches!(self, Self::Http(exchanges) if exchanges.is_settled() && !exchanges.is_last)
    }

    /// All that was asked is answered, and no more will be.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Http(exchanges) if exchanges.is_settled() && exchanges.is_last)
    }

    /// Every response has come to its end, though a request may not have.
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Http(exchanges) if exchanges.unanswered.is_empty())
    }
}

impl Exchanges {
    fn is_settled(&self) -> bool {
        matches!(self.requests, Reader::Between)
            && matches!(self.responses, Reader::Between)
            && self.unanswered.is_empty()
    }

    fn request(&mut self, bytes: &[u8]) -> Result<usize, Unframed> {
        let mut at = blank_lines(&self.requests, bytes);
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.requests {
                Reader::Between => self.requests = Reader::Head(HeadBytes::default()),
                Reader::Head(head) => {
                    let taken = head.take(rest)?;
                    at += taken.bytes;
                    if !head.may_be_request() {
                        return Err(Unframed);
                    }
                    if taken.is_end {
                        let head = head.request()?;
                        self.asked(head)?;
                    }
                }
                Reader::Body(body) => {
                    let taken = body.take(rest)?;
                    at += taken.bytes;
                    if taken.is_end {
                        self.requests = Reader::Between;
                    }
                }
            }
            if matches!(self.requests, Reader::Between) {
                break;
            }
        }
        Ok(at)
    }

    fn asked(&mut self, head: RequestHead) -> Result<(), Unframed> {
        if self.unanswered.len() == UNANSWERED_MAX {
            return Err(Unframed);
        }
        self.unanswered.push_back(Asked {
            method: head.method,
            awaits_continue: head.awaits_continue,
        });
        self.is_last |= head.is_last;
        self.requests = Reader::of(head.body);
        Ok(())
    }

    fn response(&mut self, bytes: &[u8]) -> Result<(), Unframed> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.responses {
                Reader::Between if self.unanswered.is_empty() => return Err(Unframed),
                Reader::Between => self.responses = Reader::Head(HeadBytes::default()),
                Reader::Head(head) => {
                    let taken = head.take(rest)?;
                    at += taken.bytes;
                    if taken.is_end {
                        let head = head.response()?;
                        self.answered_with(head)?;
                    }
                }
                Reader::Body(body) => {
                    let taken = body.take(rest)?;
                    at += taken.bytes;
                    if taken.is_end {
                        self.answered();
                    }
                }
            }
        }
        Ok(())
    }

    fn answered_with(&mut self, head: ResponseHead) -> Result<(), Unframed> {
        let is_sending = matches!(self.requests, Reader::Body(_)) && self.unanswered.len() == 1;
        let asked = self.unanswered.front_mut().ok_or(Unframed)?;
        match (head.status, asked.method) {
            // Another protocol from here on.
            (101, _) | (200..300, Method::Connect) => return Err(Unframed),
            (100..200, _) => {
                asked.awaits_continue = false;
                self.responses = Reader::Between;
                return Ok(());
            }
            // The client may send the body it has announced, or leave it.
            _ if asked.awaits_continue && is_sending => return Err(Unframed),
            _ => {}
        }
        self.is_last |= head.is_last;
        let has_body = asked.method != Method::Head && !matches!(head.status, 204 | 304);
        match head.body {
            _ if !has_body => self.answered(),
            Some(Body::Length(0)) => self.answered(),
            Some(body) => self.responses = Reader::Body(body),
            // It lasts as long as the connection does.
            None => return Err(Unframed),
        }
        Ok(())
    }

    fn answered(&mut self) {
        self.unanswered.pop_front();
        self.responses = Reader::Between;
    }
}

impl Reader {
    fn of(body: Option<Body>) -> Self {
        match body {
            None | Some(Body::Length(0)) => Self::Between,
            Some(body) => Self::Body(body),
        }
    }
}

/// Some clients end a body with a line that belongs to no message; it begins no
/// request either.
fn blank_lines(reader: &Reader, bytes: &[u8]) -> usize {
    match reader {
        Reader::Between => bytes
            .iter()
            .take_while(|it| matches!(it, b'\r' | b'\n'))
            .count(),
        Reader::Head(_) | Reader::Body(_) => 0,
    }
}
