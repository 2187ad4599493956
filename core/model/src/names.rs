use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest name of a project or stage, so that container names stay readable.
const NAME_LENGTH_MAX: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} name `{name}` is not valid: use 1 to 40 of a-z, 0-9 and -, starting with a letter or digit"
)]
pub struct InvalidName {
    kind: &'static str,
    name: String,
}

macro_rules! slug {
    ($type:ident, $kind:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
        )]
        #[serde(try_from = "String")]
        #[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$")]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(name: &str) -> Result<Self, InvalidName> {
                if is_slug(name) {
                    Ok(Self(name.to_owned()))
                } else {
                    Err(InvalidName {
                        kind: $kind,
                        name: name.chars().take(80).collect(),
                    })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(name: String) -> Result<Self, InvalidName> {
                name.parse()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    ProjectName,
    "project",
    "The immutable slug that names a project, also in URLs."
);
slug!(
    StageName,
    "stage",
    "The slug of one of a project's environments, e.g. `prod`."
);

impl Default for StageName {
    fn default() -> Self {
        Self("prod".to_owned())
    }
}

/// project/stage: the unit of queueing, labels and subjects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    pub project: ProjectName,
    pub stage: StageName,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.stage)
    }
}

/// Number of a deploy; unique over all lanes, only grows.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = i64)]
pub struct DeployId(pub i64);

impl fmt::Display for DeployId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_slug(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    name.len() <= NAME_LENGTH_MAX
        && name.bytes().all(allowed)
        && name.bytes().next().is_some_and(|first| first != b'-')
}

#[cfg(test)]
mod tests {
    use super::ProjectName;

    #[test]
    fn names_that_could_leave_a_path_or_a_label_are_refused() {
        for bad in ["", "-a", "../x", "A", "a/b", "a b", "ü", &"a".repeat(41)] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad:?} was accepted");
        }
        assert!("shop-2".parse::<ProjectName>().is_ok());
    }
}
