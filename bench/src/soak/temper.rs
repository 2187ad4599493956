use std::time::Duration;

use rand::{Rng, rngs::StdRng};

/// What a slow one reads each second.
pub const SLOW_BYTES: usize = 400;

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Stays, and comes back whenever the server was away.
    Steady,
    /// Leaves and comes back as it likes, and goes on where it was.
    Wanderer,
    /// Reads a few hundred bytes a second.
    Slow,
    /// Never reads; after a while it is gone, without a word.
    Stuck,
    /// Asks, and does not wait for the answer.
    Vanisher,
}

impl Temper {
    pub fn by_chance(rng: &mut StdRng) -> Self {
        match rng.random_range(0..100) {
            0..60 => Self::Steady,
            60..85 => Self::Wanderer,
            85..90 => Self::Slow,
            90..95 => Self::Stuck,
            _ => Self::Vanisher,
        }
    }

    /// Nothing that was published may be missing at the end.
    pub fn must_see_all(self) -> bool {
        matches!(self, Self::Steady | Self::Wanderer)
    }

    /// What it gets is looked at, if not at once.
    pub fn reads(self) -> bool {
        self.must_see_all() || self == Self::Slow
    }

    /// How long it is there, if the server is.
    pub fn stays(self, rng: &mut StdRng) -> Duration {
        Duration::from_millis(match self {
            Self::Steady | Self::Slow => 3_600_000,
            Self::Wanderer => rng.random_range(200..20_000),
            Self::Stuck => rng.random_range(5_000..60_000),
            Self::Vanisher => rng.random_range(0..100),
        })
    }

    /// How long it is away before it comes back.
    pub fn is_away(self, rng: &mut StdRng) -> Duration {
        Duration::from_millis(match self {
            Self::Steady | Self::Slow => rng.random_range(20..1_000),
            Self::Wanderer | Self::Stuck | Self::Vanisher => rng.random_range(20..5_000),
        })
    }
}
