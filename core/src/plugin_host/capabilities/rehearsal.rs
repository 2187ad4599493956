use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use crate::{
    model::{DryAnswer, DryRunHeader, DryRunRequestMade, Timestamp},
    plugin_host::{
        clip::visible,
        sandbox::v1::http::{Request, Response},
    },
};

/// What is shown of a body.
const BODY_BYTES_SHOWN: usize = 4 << 10;
/// Of all headers of a request.
const HEADERS_BYTES_SHOWN: usize = 16 << 10;
/// Requests that are remembered until they are taken.
const MADE_MAX: usize = 100;
/// Of all that are remembered in a run.
const RUN_BYTES_MAX: usize = 8 << 20;

/// What guests are lent while they only rehearse: the time of the event that
/// they are asked about, and an answer that nobody gave. Nothing leaves.
pub struct Rehearsal {
    answer: DryAnswer,
    now_ms: AtomicI64,
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    requests: Vec<DryRunRequestMade>,
    /// Of those that were taken, too.
    bytes: usize,
    is_cut: bool,
}

impl Rehearsal {
    pub fn new(answer: DryAnswer) -> Self {
        Self {
            answer,
            now_ms: AtomicI64::new(0),
            made: Mutex::default(),
        }
    }

    pub fn set_now(&self, now: Timestamp) {
        self.now_ms.store(now.unix_ms(), Ordering::Relaxed);
    }

    /// What a guest takes for the time of day.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now_ms.load(Ordering::Relaxed))
    }

    /// The requests since this was last asked.
    pub fn take_made(&self) -> Vec<DryRunRequestMade> {
        std::mem::take(&mut self.lock().requests)
    }

    /// Whether some requests are not told, since there were too many.
    pub fn is_cut(&self) -> bool {
        self.lock().is_cut
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answer(&self) -> Response {
        Response {
            status: self.answer.status,
            headers: Vec::new(),
            body: self.answer.body.clone().into_bytes(),
        }
    }

    pub(super) fn add(&self, made: DryRunRequestMade) {
        let mut all = self.lock();
        let bytes = all.bytes + weight(&made);
        if all.requests.len() < MADE_MAX && bytes <= RUN_BYTES_MAX {
            all.bytes = bytes;
            all.requests.push(made);
        } else {
            all.is_cut = true;
        }
    }
}

fn weight(made: &DryRunRequestMade) -> usize {
    let headers = made.headers.iter();
    let headers: usize = headers.map(|it| it.name.len() + it.value.len()).sum();
    let texts = [Some(&made.url), made.body.as_ref(), made.refused.as_ref()];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    size_of::<DryRunRequestMade>() + made.method.len() + headers + texts
}

/// A request as the guest wrote it: with the names of secrets, not their values.
pub(super) fn as_written(request: &Request) -> DryRunRequestMade {
    let mut room = HEADERS_BYTES_SHOWN;
    let headers = request.headers.iter().map_while(|header| {
        let bytes = header.name.len() + header.value.len();
        room = room.checked_sub(bytes.min(2 * BODY_BYTES_SHOWN))?;
        Some(DryRunHeader {
            name: shown(header.name.as_bytes()),
            value: shown(header.value.as_bytes()),
        })
    });
    DryRunRequestMade {
        method: shown(request.method.as_bytes()),
        url: shown(request.url.as_bytes()),
        headers: headers.collect(),
        body: request.body.as_deref().map(shown),
        refused: None,
    }
}

pub(super) fn shown(body: &[u8]) -> String {
    let cut = &body[..body.len().min(BODY_BYTES_SHOWN)];
    let mut text = String::from_utf8_lossy(cut).into_owned();
    if cut.len() < body.len() {
        text.push('…');
    }
    visible(text)
}
