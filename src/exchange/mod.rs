//! The use case: a platform's token in, a secrets token out. [`Walk::exchange`] is the whole of it, top to bottom.
//!
//! Decides the order of the steps. Refuses to know any protocol. On the way nothing is written to disk, no lock is held
//! across a wait, nothing is compiled and no key is parsed.

mod access;
mod budgets;
mod counter;
mod logins;
mod outcome;
mod reloads;
mod rules;
mod stop;
mod tally;
mod tokens;
mod walk;
mod within;

pub use access::{Access, Ask, NotServed, NotServedClass, Served, ServedAnswer};
pub use budgets::Visit;
pub use counter::{Counter, CounterParts};
pub use logins::{LoginMount, LoginMounts};
pub use outcome::{Exchanged, LoginRole, Presentation, Refused, RefusedClass, Source, Wanted};
pub use reloads::{FailedReload, Reloads};
pub use rules::{NoSuchDefault, Rules};
pub use tally::{LATENCY_BOUNDS_US, Outcome, SECRET_OPERATIONS, SECRET_OUTCOMES, Tally};
pub use tokens::RevokeError;
pub use walk::Walk;
