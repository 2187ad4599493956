use super::event::{Actor, ActorKind};

/// Who acts: the first argument of every command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Somebody on this machine: the only one until there are users.
    Local,
    /// The server itself, in one of its parts.
    System(&'static str),
}

impl Principal {
    pub fn actor(&self) -> Actor {
        match self {
            Self::Local => Actor {
                kind: ActorKind::User,
                name: "local".into(),
            },
            Self::System(part) => Actor {
                kind: ActorKind::System,
                name: (*part).into(),
            },
        }
    }
}
