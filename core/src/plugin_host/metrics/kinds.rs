use super::tally::Kind;

/// An enum whose variants have words.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl Kind for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl $name {
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// What went wrong with a plugin: in a call, at its start, or with its file.
    FaultKind {
        Trap = "trap",
        OverMemory = "over_memory",
        OverCpu = "over_cpu",
        OverWall = "over_wall",
        HostCalls = "host_calls",
        Handles = "handles",
        Output = "output",
        /// The guest's own error.
        Refused = "refused",
        BadAnswer = "bad_answer",
        /// It does not fit the contract that it names.
        Misfit = "misfit",
        /// The host could not do its part.
        Host = "host",
        Dead = "dead",
        TooLarge = "too_large",
        /// The file is no component, or a damaged one.
        Invalid = "invalid",
        /// The compiler gave up on it.
        Compile = "compile",
        /// It needs what this server does not offer, or has no role.
        Contract = "contract",
        /// Its cached machine code was not what this server wrote.
        TamperedCache = "tampered_cache",
    }
}

kinds! {
    /// How an HTTP request of a plugin ended.
    HttpOutcome {
        Informational = "1xx",
        Success = "2xx",
        Redirect = "3xx",
        ClientError = "4xx",
        ServerError = "5xx",
        /// It was not granted, and did not leave.
        Denied = "denied",
        /// It was no request that can be sent.
        Invalid = "invalid",
        Timeout = "timeout",
        Connection = "connection",
    }
}

kinds! {
    /// What came of an attempt to deliver.
    DeliveryEnd {
        Sent = "sent",
        /// It is tried again, or goes on in parts.
        Failed = "failed",
        /// It was given up.
        Dead = "dead",
    }
}

impl HttpOutcome {
    pub(in crate::plugin_host) const fn of_status(status: u16) -> Self {
        match status {
            0..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirect,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}
