//! A permit is admitted once, or freely, as its issuer says.
//!
//! Decides whether a verified token may be exchanged again for the same target. Runs after the decision, so that a
//! denial burns nothing, and after verification, so that a forged token burns nobody's `jti`. Refuses to know what the
//! permit grants.
//!
//! # The attack that the leeway makes
//! A verifier that grants 60 s of leeway accepts a token until `exp + 60 s`. A memory that forgets it at `exp` leaves a
//! minute in which a token seen by anybody (a CI log, a proxy) is good once more, without limit. So an entry lives until
//! `exp + `[`MAX_LEEWAY`](crate::trust::MAX_LEEWAY)` + `[`MARGIN`], whatever leeway is configured: were it the configured one, a
//! restart with a larger one would accept tokens again that are forgotten. A token whose memory may be gone is refused, also when
//! the clock was set back meanwhile.
//!
//! # The attack that a shared memory makes
//! A Redis that is started again, fails over or is emptied has forgotten, and says "new" to everything. So it is asked since when it
//! has forgotten nothing, and a token that can have been presented before is refused, until it is over.

mod admitted;
mod guard;
mod journal;
mod memory;
#[cfg(test)]
mod tests;

pub use admitted::AdmittedPermit;
pub use guard::{ReplayError, ReplayGuard, ReplaySettings};
pub use journal::JournalError;
pub use memory::MARGIN;
