//! Verification of a token.
mod verified;
pub use verified::VerifiedToken;
