//! Waiting for what nobody tells: by asking again and again.

use std::time::Duration;

use super::sse::PATIENCE;

/// A test that asks without a pause takes the processor from what it waits for:
/// plugins are compiled after everything else.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer; none, if there is none within [`PATIENCE`].
pub async fn answer<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.ok()
}
