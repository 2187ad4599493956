//! The contract with guests (`sdk/wit`), one module per version that is kept.

pub mod convert;
pub mod v1;
