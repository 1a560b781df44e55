//! Verification: pure, one function per check, the RFC section beside it.
//!
//! Decides whether a token is what it claims to be, for us, now. Refuses to know what it may be exchanged for, and never
//! fetches: keys are handed in. The chain is [`UntrustedToken`] -> [`SignedToken`] -> [`VerifiedToken`]; each step
//! consumes the one before.

mod cache;
mod checks;
mod examine;
mod refusal;
mod shape;
mod signed;
mod untrusted;
mod verified;

pub use cache::{SeenKey, VerifiedTokens};
pub use examine::{Examined, examine};
pub use refusal::Refusal;
pub use signed::SignedToken;
pub use untrusted::{SignatureFailure, UntrustedToken};
pub use verified::{ClaimsView, VerifiedToken};
