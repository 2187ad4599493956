//! What a container said before it ended.

use std::{sync::Arc, time::Duration};

use crate::{
    engine::{Engine, OutputLine},
    model::{Instance, Spec, Timestamp},
    scrub::Scrubber,
    store::{Keyring, Store},
};

const LINES_MAX: usize = 20;
/// It may have been started again by now, and have said more.
const LINES_READ: usize = 5 * LINES_MAX;
const LINE_BYTES_MAX: usize = 300;
/// The event goes without them then: the watcher has others to tell of.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct LastWords {
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) keyring: Arc<Keyring>,
}

impl LastWords {
    /// Oldest first. None of a container of others, whose secrets nobody knows, of one
    /// that is gone, and of one whose output does not come in time.
    pub(super) async fn before(&self, end: Timestamp, instance: &Instance) -> Vec<String> {
        if !instance.managed {
            return Vec::new();
        }
        let reading = async {
            let scrubber = self.scrubber(&instance.id).await?;
            let output = self.engine.output_tail(&instance.id, LINES_READ).await;
            Some(told(output.ok()?, end, &scrubber))
        };
        let read = tokio::time::timeout(TIMEOUT, reading).await;
        read.ok().flatten().unwrap_or_default()
    }

    /// Knows the secrets that this container was given.
    async fn scrubber(&self, instance: &str) -> Option<Scrubber> {
        let id = instance.to_owned();
        let deployed = self.store.read(move |reader| reader.deployed_as(&id));
        let deployed = deployed.await.ok().flatten()?;
        let spec = deployed.spec.open(&deployed.lane, &self.keyring).ok()?;
        let secrets = Spec::secret_values(&spec);
        Some(Scrubber::new(secrets.iter().map(String::as_str)))
    }
}

fn told(output: Vec<OutputLine>, end: Timestamp, scrubber: &Scrubber) -> Vec<String> {
    let lines = output.into_iter().filter(|line| line.time <= end);
    let mut lines: Vec<String> = lines.map(|line| line.line).collect();
    lines.drain(..lines.len().saturating_sub(LINES_MAX));
    if lines.is_empty() {
        return lines;
    }
    // As one text, and before anything is cut: a secret may have several lines, and be long.
    let text = scrubber.scrub(lines.join("\n"));
    text.split('\n').map(cut).collect()
}

/// On a character boundary, visibly.
fn cut(line: &str) -> String {
    let end = line.floor_char_boundary(LINE_BYTES_MAX);
    let mark = if end < line.len() { "…" } else { "" };
    format!("{}{mark}", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES_MAX, LINES_MAX, OutputLine, Scrubber, Timestamp, told};
    use crate::model::LogStream;

    const SECRET: &str = "-----BEGIN-----\nMIIEvQIB\nx=\n-----END-----";

    /// A line each millisecond.
    fn output(lines: &[&str]) -> Vec<OutputLine> {
        let line = |(at, line): (usize, &&str)| OutputLine {
            stream: LogStream::Stdout,
            time: Timestamp::from_unix_ms(at as i64),
            line: (*line).to_owned(),
        };
        lines.iter().enumerate().map(line).collect()
    }

    fn told_at(end_ms: i64, lines: &[&str]) -> Vec<String> {
        let end = Timestamp::from_unix_ms(end_ms);
        told(output(lines), end, &Scrubber::new([SECRET]))
    }

    #[test]
    fn only_the_last_lines_before_the_end_are_told() {
        let many: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = told_at(30, &many);
        assert_eq!(told.len(), LINES_MAX);
        assert_eq!((told[0].as_str(), told[19].as_str()), ("11", "30"));
        assert_eq!(told_at(-1, &many), [""; 0]);
    }

    #[test]
    fn a_secret_of_several_lines_is_taken_out_whole_and_a_long_line_is_cut() {
        let secret: Vec<&str> = SECRET.lines().collect();
        let told = told_at(99, &[&["key:"], &secret[..], &["bye"]].concat());
        assert_eq!(told, ["key:", "(secret)", "bye"]);
        let told = told_at(99, &["é".repeat(LINE_BYTES_MAX).as_str()]);
        assert_eq!(told, [format!("{}…", "é".repeat(LINE_BYTES_MAX / 2))]);
    }
}
