use futures_util::{StreamExt, stream::BoxStream};
use reqwest::Client;
use serde_json::Value;

use super::sse::PATIENCE;

/// A client of a stream of JSON lines.
pub struct Lines {
    chunks: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    received: Vec<u8>,
}

impl Lines {
    pub async fn open(http: &Client, url: &str) -> Self {
        let request = http.get(url).header("accept", "application/x-ndjson");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self {
            chunks: response.bytes_stream().boxed(),
            received: Vec::new(),
        }
    }

    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("JSON"));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.chunks.next()).await;
            let chunk = chunk.expect("a line in time")?.ok()?;
            self.received.extend_from_slice(&chunk);
        }
    }

    /// All lines up to the end.
    pub async fn rest(&mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(line) = self.next().await {
            lines.push(line);
        }
        lines
    }
}
