use std::{ops::ControlFlow, time::Duration};

use futures_util::StreamExt;
use rand::Rng;

use super::client::{Client, ClientError};
use crate::model::Event;

const DELAY_FIRST_MS: u64 = 500;
const DELAY_MAX_MS: u64 = 30_000;
/// Attempts in a row without any event before we give up.
const ATTEMPTS_MAX: u32 = 10;

/// Follows a stream of events, through lost connections, until `each` breaks
/// or the server says that nothing more will come. Gaps are told on standard
/// error.
pub(super) async fn follow<T>(
    client: &Client,
    path: &str,
    mut each: impl FnMut(Event) -> ControlFlow<T>,
) -> Result<Option<T>, ClientError> {
    let mut last_id: Option<String> = None;
    let mut attempts = 0;
    loop {
        let error = match client.stream(path, last_id.as_deref()).await {
            Ok(frames) => {
                let mut frames = std::pin::pin!(frames);
                loop {
                    let Some(frame) = frames.next().await else {
                        break ClientError::Broken("the stream ended".into());
                    };
                    let frame = match frame {
                        Ok(frame) => frame,
                        Err(error) => break error,
                    };
                    attempts = 0;
                    if !frame.id.is_empty() {
                        last_id = Some(frame.id);
                    }
                    match frame.event.as_str() {
                        "end" => return Ok(None),
                        "reset" => eprintln!("some events are missing here: {}", frame.data),
                        "message" => {
                            // A type that this version does not know is none of ours.
                            if let Ok(event) = serde_json::from_str(&frame.data)
                                && let ControlFlow::Break(value) = each(event)
                            {
                                return Ok(Some(value));
                            }
                        }
                        _ => {}
                    }
                }
            }
            // A first connection that fails is an answer in itself.
            Err(error) if last_id.is_none() || !may_pass(&error) => return Err(error),
            Err(error) => error,
        };
        attempts += 1;
        if attempts > ATTEMPTS_MAX {
            return Err(error);
        }
        eprintln!("connection lost, trying again: {error}");
        tokio::time::sleep(delay(attempts).max(wished(&error))).await;
    }
}

/// Where it may be otherwise in a moment: the server is away, has too many streams, or is
/// just starting.
const fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status, .. } => matches!(status, 429 | 503),
        ClientError::Unreachable { .. } | ClientError::Broken(_) => true,
    }
}

/// What the server wants us to wait at least.
fn wished(error: &ClientError) -> Duration {
    match error {
        ClientError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

/// Exponential with jitter: half of it fixed, half of it random.
fn delay(attempt: u32) -> Duration {
    let most = DELAY_FIRST_MS
        .saturating_mul(1 << attempt.min(10))
        .min(DELAY_MAX_MS);
    Duration::from_millis(most / 2 + rand::rng().random_range(0..=most / 2))
}
