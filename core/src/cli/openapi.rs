use std::io::Write;

use super::Outcome;
use crate::api;

/// Prints the description of the API, for `make api`.
pub(super) fn run() -> anyhow::Result<Outcome> {
    std::io::stdout().write_all(api::openapi::text()?.as_bytes())?;
    Ok(Outcome::Done)
}
