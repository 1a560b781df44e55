//! Claims, lifetime, signing keys, the published key set.
//!
//! Decides what a secrets token says, how long it lives, and with which key it is signed, so that at every moment a
//! verifier that keeps our published keys for as long as we told it to can verify every token that is still valid.
//! Refuses to know why a permit was given. Minting writes nothing: a token is its signature (RFC 9068), and only its
//! revocation is stored.

mod accessor;
mod claims;
mod issue;
mod issued;
mod key_ring;
mod key_settings;
mod key_store;
mod lifetime;
mod login;
mod manifest;
mod minter;
mod operator_keys;
mod own;
mod snapshot;
#[cfg(test)]
mod tests;

pub use accessor::AccessorClaims;
pub use issue::{Draft, Granted, Wish};
pub use issued::IssuedToken;
pub use key_ring::{KeyRing, TICK_EVERY, list, rotate};
pub use key_settings::{KeyInfo, KeySettings, KeySource};
pub use key_store::KeyError;
pub use lifetime::{DEFAULT_LIFETIME, LifetimeInput, MAX_LIFETIME, MIN_LIFETIME, SubjectExpiresTooSoon, lifetime};
pub use login::{LOGIN_MEDIA_TYPE, LoginToken, Usage};
pub use manifest::{KeyState, Rotation};
#[cfg(test)]
pub(crate) use minter::MintInput;
pub use minter::{MAX_CLAIMS_BYTES, MintError, Minter};
pub use own::{OwnToken, OwnTokenError, OwnTokens};

/// The media type of the tokens minted here (RFC 9068 section 2.1).
pub const MEDIA_TYPE: &str = "at+jwt";
