//! Honest and hostile guests in the sandbox, driven through the library.

mod answers;
mod capabilities;
mod compile;
pub mod guest;
pub mod hostile;
mod http;
mod lab;
mod limits;
mod loading;
pub mod post;
