//! Budgets: whether a request may go on, or its caller has had enough for now.
//!
//! Decides by whom a request comes from (an address, an issuer, a subject), what it is for (a target), and how much of that came to
//! nothing (failures). Refuses to know what a token is, what is asked, and how a refusal is said: the engine asks at fixed stages,
//! for every surface alike ([`Limiter`] lists them), and each surface has its own words.
//!
//! | budget | charged by | empty |
//! |---|---|---|
//! | `source` | a request whose token is good | the address waits |
//! | `subject`, `issuer`, `target` | the same | whoever it is, or is for, waits |
//! | `failures`, of a source and of an issuer | a request that is refused | garbage is refused before it costs anything; who was known before goes on ([`Limiter::before_cryptography`]) |
//!
//! `docs/decisions/0049-budgets.md` says why, and what somebody can and can't do to others behind one address.

mod key;
mod limiter;
mod met;
mod notices;
mod passage;
mod rate;
mod shared;
mod state;
mod table;
mod tally;
#[cfg(test)]
mod tests;

pub use key::Budget;
pub use limiter::{Claim, Limiter};
pub use passage::Passage;
pub use rate::{LimitSettings, MAX_KEYS, Rate};
pub use state::{Limited, State};
pub use tally::{LimiterStatus, LimiterTally};
