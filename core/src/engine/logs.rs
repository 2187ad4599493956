use std::time::Duration;

use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use futures_util::{Stream, StreamExt};

use super::{Engine, EngineError, lines::LineBuffer};
use crate::model::{LogStream, Timestamp};

const TAIL_TIMEOUT: Duration = Duration::from_secs(10);

/// One line of a container's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    pub stream: LogStream,
    /// When the engine read it.
    pub time: Timestamp,
    pub line: String,
}

impl Engine {
    /// The output from its beginning, until the container ends. The stream can
    /// break off earlier; `since` goes on from there.
    pub fn output(
        &self,
        id: &str,
        since: Option<Timestamp>,
    ) -> Result<impl Stream<Item = Result<OutputLine, EngineError>> + use<>, EngineError> {
        let options = LogsOptionsBuilder::new()
            .follow(true)
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(since.map_or(0, |at| i32::try_from(at.unix_ms() / 1000).unwrap_or(0)))
            .build();
        let chunks = self.streams()?.logs(id, Some(options));
        Ok(self.clone().lines(chunks))
    }

    /// The last lines of the output, oldest first.
    pub async fn log_tail(&self, id: &str, lines: usize) -> Result<Vec<String>, EngineError> {
        let output = self.output_tail(id, lines).await?;
        Ok(output.into_iter().map(|line| line.line).collect())
    }

    /// The same, with when each was said.
    pub async fn output_tail(
        &self,
        id: &str,
        lines: usize,
    ) -> Result<Vec<OutputLine>, EngineError> {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .tail(&lines.to_string())
            .build();
        let chunks = self.streams()?.logs(id, Some(options));
        let all = self.clone().lines(chunks).collect::<Vec<_>>();
        let collected = tokio::time::timeout(TAIL_TIMEOUT, all).await;
        let collected = collected.map_err(|_| EngineError::Timeout {
            what: "the container's log".into(),
            after: TAIL_TIMEOUT,
        })?;
        collected.into_iter().collect()
    }

    fn lines(
        self,
        chunks: impl Stream<Item = Result<LogOutput, bollard::errors::Error>>,
    ) -> impl Stream<Item = Result<OutputLine, EngineError>> {
        async_stream::stream! {
            let mut chunks = std::pin::pin!(chunks);
            let (mut out, mut err) = (LineBuffer::default(), LineBuffer::default());
            while let Some(chunk) = chunks.next().await {
                let (stream, lines) = match chunk {
                    Ok(LogOutput::StdErr { message }) => (LogStream::Stderr, err.push(&message)),
                    // A container with a terminal has one stream.
                    Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                        (LogStream::Stdout, out.push(&message))
                    }
                    Ok(LogOutput::StdIn { .. }) => continue,
                    Err(error) => {
                        yield Err(self.error("the container's log", error));
                        return;
                    }
                };
                for line in lines {
                    yield Ok(stamped(stream, line));
                }
            }
            for (stream, mut buffer) in [(LogStream::Stdout, out), (LogStream::Stderr, err)] {
                if !buffer.is_empty() && let Some(line) = buffer.finish() {
                    yield Ok(stamped(stream, line));
                }
            }
        }
    }
}

/// The engine puts its time before each line.
fn stamped(stream: LogStream, line: String) -> OutputLine {
    let parsed = line
        .split_once(' ')
        .and_then(|(time, rest)| Timestamp::parse(time).map(|time| (time, rest.to_owned())));
    match parsed {
        Some((time, line)) => OutputLine { stream, time, line },
        None => {
            let time = Timestamp::parse(&line);
            let line = if time.is_some() { String::new() } else { line };
            OutputLine {
                stream,
                time: time.unwrap_or_else(Timestamp::now),
                line,
            }
        }
    }
}
