//! The use case: a platform's token in, a secrets token out. [`Walk::exchange`] is the whole of it, top to bottom.
//!
//! Decides the order of the steps. Refuses to know any protocol. On the way nothing is written to disk, no lock is held
//! across a wait, nothing is compiled and no key is parsed.

mod counter;
mod outcome;
mod reloads;
mod rules;
mod stop;
mod tally;
mod tokens;
mod walk;

pub use counter::{Counter, CounterParts};
pub use outcome::{Exchanged, Presentation, Refused, RefusedClass, Source};
pub use reloads::{FailedReload, Reloads};
pub use rules::{NoSuchDefault, Rules};
pub use tally::{LATENCY_BOUNDS_US, Outcome, Tally};
pub use tokens::RevokeError;
pub use walk::Walk;
