use std::io::{self, Write};

use serde::Serialize;

use super::Outcome;

/// One JSON object a line.
pub(super) fn json_lines<T: Serialize>(items: &[T]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for item in items {
        writeln!(out, "{}", serde_json::to_string(item)?)?;
    }
    Ok(())
}

/// Whoever reads may have had enough, as `head` has: that is no failure.
pub(super) fn done(printed: io::Result<()>) -> anyhow::Result<Outcome> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(Outcome::Done),
    }
}

/// Where a plugin trapped, the frames follow.
pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
