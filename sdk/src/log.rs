//! Lines in the plugin's own log on the dashboard. The host limits their rate and
//! length. In unit tests they go to standard error.
//!
//! ```
//! use tiny_forge_plugin::log;
//!
//! let events = 3;
//! log::info(format_args!("posted {events} events"));
//! ```

use std::fmt::Display;

use crate::host;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

pub fn write(level: Level, message: impl Display) {
    host::log(level, &message.to_string());
}

pub fn debug(message: impl Display) {
    write(Level::Debug, message);
}

pub fn info(message: impl Display) {
    write(Level::Info, message);
}

pub fn warn(message: impl Display) {
    write(Level::Warn, message);
}

pub fn error(message: impl Display) {
    write(Level::Error, message);
}
