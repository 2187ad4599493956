use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long after an operation of ours its effects may still be told.
const AFTERGLOW: Duration = Duration::from_secs(30);

/// Containers that an operation of ours works on: what happens to them is
/// planned, and nothing to be alarmed about.
#[derive(Clone, Default)]
pub struct Planned(Arc<Mutex<HashMap<String, Option<Instant>>>>);

impl Planned {
    /// From now on, until [`Planned::end`].
    pub fn begin(&self, id: &str) {
        self.lock().insert(id.to_owned(), None);
    }

    /// Effects that are told a little later still count.
    pub fn end(&self, id: &str) {
        self.lock()
            .insert(id.to_owned(), Some(Instant::now() + AFTERGLOW));
    }

    pub fn contains(&self, id: &str) -> bool {
        let mut planned = self.lock();
        let now = Instant::now();
        planned.retain(|_, until| until.is_none_or(|until| until > now));
        planned.contains_key(id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
