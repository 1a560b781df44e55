//! Logs and metrics: what the platform team sees.
//!
//! Decides the shape of a log line and the names of metrics. Refuses to see what is never logged: subject tokens, issued
//! tokens, secrets, private keys, client secrets, claim values. Those types print `[redacted]`, so that a careless
//! `{:?}` shows nothing; `tests/nothing_leaks.rs` greps every output for planted values.

mod logs;
mod metrics;
mod panics;

pub use logs::{LogFormat, LogSettings, start_logs};
pub use metrics::render;
pub use panics::quiet_panics;
