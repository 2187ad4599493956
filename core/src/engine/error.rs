use std::time::Duration;

use bollard::errors::Error as BollardError;

/// Why the engine did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error(
        "the Docker engine at {endpoint} does not answer ({reason}): is it running, and may this user reach it?"
    )]
    Absent { endpoint: String, reason: String },
    #[error("{what} does not exist on the engine")]
    NotFound { what: String },
    #[error("{message}")]
    Conflict { message: String },
    #[error(
        "host port {port} is already in use by another process or container: free it, or choose another"
    )]
    PortInUse { port: String },
    #[error("{what} took longer than {} s", .after.as_secs())]
    Timeout { what: String, after: Duration },
    /// The engine's own words.
    #[error("{what}: {message}")]
    Refused { what: String, message: String },
}

impl EngineError {
    /// Why, for who says the rest.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Absent { reason, .. } => reason.clone(),
            other => other.to_string(),
        }
    }

    /// Gives a bollard error its meaning; `what` names the thing it was about.
    pub(super) fn of(what: &str, endpoint: &str, error: BollardError) -> Self {
        match error {
            BollardError::DockerResponseServerError {
                status_code,
                message,
            } => Self::of_answer(what, status_code, &message),
            BollardError::DockerStreamError { error } => Self::of_answer(what, 500, &error),
            BollardError::RequestTimeoutError => Self::Absent {
                endpoint: endpoint.to_owned(),
                reason: "no answer in time".into(),
            },
            error if is_connection(&error) => Self::Absent {
                endpoint: endpoint.to_owned(),
                reason: innermost(&error),
            },
            other => Self::Refused {
                what: what.to_owned(),
                message: other.to_string(),
            },
        }
    }

    fn of_answer(what: &str, status: u16, message: &str) -> Self {
        let message = message.trim();
        if let Some(port) = port_in_use(message) {
            return Self::PortInUse { port };
        }
        match status {
            404 if message.contains("No such container") || message.contains("No such image") => {
                Self::NotFound {
                    what: what.to_owned(),
                }
            }
            409 => Self::Conflict {
                message: format!("{what}: {message}"),
            },
            _ => Self::Refused {
                what: what.to_owned(),
                message: message.to_owned(),
            },
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

fn is_connection(error: &BollardError) -> bool {
    matches!(
        error,
        BollardError::HyperResponseError { .. }
            | BollardError::HyperLegacyError { .. }
            | BollardError::IOError { .. }
            | BollardError::HttpClientError { .. }
            | BollardError::SocketNotFoundError(_)
    )
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// The engine says it in two ways, for its own ports and for other processes'.
fn port_in_use(message: &str) -> Option<String> {
    let is_port =
        message.contains("port is already allocated") || message.contains("address already in use");
    if !is_port {
        return None;
    }
    let digits = |text: &str| -> String { text.chars().take_while(char::is_ascii_digit).collect() };
    let mut candidates = message
        .match_indices(':')
        .map(|(at, _)| digits(&message[at + 1..]));
    let port = candidates.find(|port| !port.is_empty());
    Some(port.unwrap_or_else(|| "(unknown)".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::EngineError;

    #[test]
    fn a_taken_port_is_named() {
        for message in [
            "driver failed programming external connectivity on endpoint x (ab12): Bind for 0.0.0.0:8081 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint x: Error starting userland proxy: listen tcp4 0.0.0.0:8081: bind: address already in use",
        ] {
            let error = EngineError::of_answer("container `x`", 500, message);
            assert_eq!(
                error,
                EngineError::PortInUse {
                    port: "8081".into()
                }
            );
        }
    }
}
