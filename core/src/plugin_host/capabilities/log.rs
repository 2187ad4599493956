//! `log`: the newest lines that a plugin wrote, for its page.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    model::{PluginLogLevel, PluginLogLine, Timestamp},
    plugin_host::{
        clip::visible,
        sandbox::{HostState, v1},
    },
    scrub::Scrubber,
};

const LINES_MAX: usize = 200;
const LINE_BYTES_MAX: usize = 4 << 10;
/// Lines that may come at once, and how many more each second.
const BURST_LINES: f64 = 64.0;
const LINES_PER_SECOND: f64 = 16.0;
/// The same for what the operator has to see, which a plugin that writes much does not push
/// aside.
const BURST_NOTICES: f64 = 16.0;
const NOTICES_PER_SECOND: f64 = 1.0;
/// Between two lines about a plugin in the server's own log.
const NOTICE_PAUSE: Duration = Duration::from_secs(60);

/// The newest lines that a plugin wrote: limited in number, rate and length,
/// and free of its secrets. Cheap to clone.
#[derive(Clone)]
pub struct PluginLog(Arc<Shared>);

struct Shared {
    plugin: String,
    scrubber: Scrubber,
    ring: Mutex<Ring>,
}

struct Ring {
    lines: VecDeque<PluginLogLine>,
    written: Allowance,
    notices: Allowance,
    /// Lines over the rate since the last one that was kept.
    lost: u64,
    /// When the server's own log was last told something.
    noticed: Option<Instant>,
}

/// How many lines may come now.
struct Allowance {
    burst: f64,
    per_second: f64,
    left: f64,
    refilled: Instant,
}

impl PluginLog {
    pub fn new(plugin: &str, scrubber: &Scrubber) -> Self {
        Self(Arc::new(Shared {
            plugin: plugin.to_owned(),
            scrubber: scrubber.clone(),
            ring: Mutex::new(Ring {
                lines: VecDeque::new(),
                written: Allowance::new(BURST_LINES, LINES_PER_SECOND),
                notices: Allowance::new(BURST_NOTICES, NOTICES_PER_SECOND),
                lost: 0,
                noticed: None,
            }),
        }))
    }

    /// Oldest first; at most 200.
    pub fn lines(&self) -> Vec<PluginLogLine> {
        self.ring().lines.iter().cloned().collect()
    }

    /// Adds a line, also for what the host has to say to the plugin's operator. Says how it
    /// is shown, if it is.
    pub fn write(&self, level: PluginLogLevel, message: &str) -> Option<String> {
        let is_allowed = self.ring().allows(Instant::now());
        is_allowed.then(|| self.show(level, message))
    }

    fn show(&self, level: PluginLogLevel, message: &str) -> String {
        let scrubber = &self.0.scrubber;
        let message = visible(scrubber.scrub_beginning(message.to_owned(), LINE_BYTES_MAX));
        tracing::debug!(plugin = self.0.plugin, ?level, line = ?message);
        self.ring().push(level, message.clone());
        message
    }

    /// A line that the operator has to see, whatever the plugin itself writes; also in the
    /// server's own log: there at most once a minute, whatever the plugin does.
    pub fn notice(&self, message: &str) {
        if !self.ring().allows_notice(Instant::now()) {
            return;
        }
        let shown = self.show(PluginLogLevel::Warn, message);
        if self.ring().may_notice(Instant::now()) {
            tracing::warn!(plugin = self.0.plugin, "{shown}");
        }
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn allows(&mut self, now: Instant) -> bool {
        let allowed = self.written.take(now);
        self.lost += u64::from(!allowed);
        allowed
    }

    fn allows_notice(&mut self, now: Instant) -> bool {
        let allowed = self.notices.take(now);
        self.lost += u64::from(!allowed);
        allowed
    }

    fn may_notice(&mut self, now: Instant) -> bool {
        let is_soon = |last| now.saturating_duration_since(last) < NOTICE_PAUSE;
        let may = !self.noticed.is_some_and(is_soon);
        if may {
            self.noticed = Some(now);
        }
        may
    }

    fn push(&mut self, level: PluginLogLevel, message: String) {
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            let notice = format!("{lost} lines were too many at once and are lost");
            self.keep(PluginLogLevel::Warn, notice);
        }
        self.keep(level, message);
    }

    fn keep(&mut self, level: PluginLogLevel, message: String) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(PluginLogLine {
            time: Timestamp::now(),
            level,
            message,
        });
    }
}

impl Allowance {
    fn new(burst: f64, per_second: f64) -> Self {
        Self {
            burst,
            per_second,
            left: burst,
            refilled: Instant::now(),
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.refilled);
        let refilled = self.left + since.as_secs_f64() * self.per_second;
        self.left = refilled.min(self.burst);
        self.refilled = now;
        let is_enough = self.left >= 1.0;
        if is_enough {
            self.left -= 1.0;
        }
        is_enough
    }
}

impl HostState {
    /// Something was denied: whoever can grant it sees the line that does.
    pub(super) fn tell_denied(&self, notice: &str) {
        // What rehearses or describes itself is shown to whoever looks at it.
        if self.is_starting || self.setup.rehearsal.is_some() {
            self.setup.log.write(PluginLogLevel::Warn, notice);
        } else {
            self.setup.log.notice(notice);
        }
    }
}

impl v1::log::Host for HostState {
    async fn write(&mut self, level: v1::log::Level, message: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        let level = match level {
            v1::log::Level::Debug => PluginLogLevel::Debug,
            v1::log::Level::Info => PluginLogLevel::Info,
            v1::log::Level::Warn => PluginLogLevel::Warn,
            v1::log::Level::Error => PluginLogLevel::Error,
        };
        let shown = self.setup.log.write(level, &message);
        if level == PluginLogLevel::Error {
            self.error_said = shown;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        BURST_LINES, Instant, LINE_BYTES_MAX, LINES_MAX, NOTICE_PAUSE, PluginLog, PluginLogLevel,
        PluginLogLine,
    };
    use crate::scrub::Scrubber;

    #[test]
    fn a_flood_is_cut_and_says_how_much_is_lost() {
        let log = PluginLog::new("noisy", &Scrubber::default());
        for _ in 0..1000 {
            log.write(PluginLogLevel::Info, "again");
        }
        let kept = log.lines().len();
        assert!(kept >= BURST_LINES as usize && kept < 100, "{kept} lines");
        let later = Instant::now() + Duration::from_secs(1);
        assert!(log.ring().allows(later));
        log.ring().push(PluginLogLevel::Info, "later".into());
        let lines = log.lines();
        let notice = &lines[lines.len() - 2].message;
        assert!(notice.ends_with("are lost"), "{notice}");
    }

    #[test]
    fn a_plugin_that_writes_too_much_hides_no_notice_and_notices_are_limited_too() {
        let log = PluginLog::new("noisy", &Scrubber::default());
        for _ in 0..1000 {
            log.write(PluginLogLevel::Info, "again");
        }
        log.notice("a request was denied");
        let last = log.lines().pop().expect("a line").message;
        assert_eq!(last, "a request was denied");
        for _ in 0..1000 {
            log.notice("a request was denied");
        }
        let denied = |line: &PluginLogLine| line.message == "a request was denied";
        let told = log.lines().into_iter().filter(denied).count();
        assert!((16..32).contains(&told), "{told} lines");
    }

    #[test]
    fn the_oldest_lines_make_room_and_long_ones_are_cut() {
        let log = PluginLog::new("long", &Scrubber::default());
        for line in 0..=LINES_MAX {
            log.ring().push(PluginLogLevel::Info, line.to_string());
        }
        assert_eq!(log.lines().len(), LINES_MAX);
        assert_eq!(log.lines()[0].message, "1");
        log.write(PluginLogLevel::Info, &"ü".repeat(LINE_BYTES_MAX));
        let last = log.lines().pop().expect("a line").message;
        assert!(last.len() <= LINE_BYTES_MAX + '…'.len_utf8() && last.ends_with('…'));
    }

    #[test]
    fn the_servers_own_log_is_told_once_a_minute() {
        let log = PluginLog::new("denied", &Scrubber::default());
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let told = [
            now,
            now + second,
            now + NOTICE_PAUSE - second,
            now + NOTICE_PAUSE,
        ];
        let told = told.map(|at| log.ring().may_notice(at));
        assert_eq!(told, [true, false, false, true]);
    }

    #[test]
    fn a_secret_is_taken_out_of_a_line() {
        let log = PluginLog::new("leaky", &Scrubber::new(["correct-horse"]));
        log.write(PluginLogLevel::Error, "token correct-horse refused");
        assert_eq!(log.lines()[0].message, "token (secret) refused");
    }
}
