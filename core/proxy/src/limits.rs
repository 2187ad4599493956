//! How many connections there may be.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Each keeps two sockets, and 64 KiB where both sides are slow to read.
const CONNECTIONS_MAX: usize = 20_000;

/// For listeners, the control socket, and the route file.
const OTHER_DESCRIPTORS: usize = 256;

/// As many as the process may have file descriptors for.
pub fn connections_max() -> usize {
    let free = descriptors_max().saturating_sub(OTHER_DESCRIPTORS);
    (free / 2).clamp(1, CONNECTIONS_MAX)
}

/// File descriptors that the process may have, of which it takes as many as it is allowed
/// to.
pub fn descriptors_max() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the number of file descriptors stays as it is");
        limit = getrlimit(Resource::Nofile);
    }
    let descriptors = limit.current.map(usize::try_from);
    descriptors.map_or(usize::MAX, |it| it.unwrap_or(usize::MAX))
}
