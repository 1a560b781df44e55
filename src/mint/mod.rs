//! Claims, lifetime, signing keys, the published key set.
//!
//! Decides what a secrets token says, how long it lives, and with which key it is signed, so that at every moment a
//! verifier that keeps our published keys for as long as we told it to can verify every token that is still valid.
//! Refuses to know why a permit was given. Minting writes nothing: a token is its signature (RFC 9068), and only its
//! revocation is stored.

mod accessor;
mod changes;
mod claims;
mod issue;
mod issued;
mod key_database;
mod key_error;
mod key_ring;
mod key_settings;
mod key_store;
mod lifetime;
mod local_keys;
mod login;
mod manifest;
mod minter;
mod moving;
mod operator_keys;
mod own;
mod shared_keys;
mod snapshot;
#[cfg(test)]
mod tests;

pub use accessor::AccessorClaims;
pub use issue::{Draft, Granted, Wish};
pub use issued::IssuedToken;
pub use key_database::KeyDatabase;
pub use key_error::KeyError;
pub use key_ring::{KeyRing, TICK_EVERY};
pub use key_settings::{KeyInfo, KeySettings, KeySource};
pub use lifetime::{DEFAULT_LIFETIME, LifetimeInput, MAX_LIFETIME, MIN_LIFETIME, SubjectExpiresTooSoon, lifetime};
pub use local_keys::{list, rotate};
pub use login::{LOGIN_MEDIA_TYPE, LoginToken, Usage};
pub use manifest::{KeyState, Rotation};
#[cfg(test)]
pub(crate) use minter::MintInput;
pub use minter::{MAX_CLAIMS_BYTES, MintError, Minter};
pub use own::{OwnToken, OwnTokenError, OwnTokens};
pub use shared_keys::Reading;

/// The media type of the tokens minted here (RFC 9068 section 2.1).
pub const MEDIA_TYPE: &str = "at+jwt";
