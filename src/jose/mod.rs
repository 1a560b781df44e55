//! Compact JWS, algorithms, keys, signatures: strict, hostile input expected.
//!
//! Decides whether bytes are one well-formed signed token, which keys of a published set are usable, and whether a
//! signature holds. Refuses to know who issued a token, or what its claims mean. Only asymmetric algorithms exist as
//! values of `alg` here, so that `none` and HMAC are not refused by a check but have no name. The one owner of the
//! cryptographic library: digests and randomness for the whole crate come from here too.

mod algorithm;
mod base64url;
mod compact;
mod digest;
mod header;
mod json;
mod jwk;
mod key_set;
mod keyed_digest;
mod rsa_key;
mod sealing;
mod signing_key;

#[cfg(feature = "aws-lc")]
#[path = "backend_aws_lc.rs"]
mod backend;
#[cfg(all(feature = "ring", not(feature = "aws-lc")))]
#[path = "backend_ring.rs"]
mod backend;
#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
compile_error!("choose a cryptographic library: --features aws-lc (the default) or --features ring");

pub use algorithm::Algorithm;
pub use compact::{CompactError, CompactJws, MAX_TOKEN_BYTES};
pub use digest::{NoRandomness, Sha256, random, sha256};
pub use header::HeaderError;
pub use json::{JsonError, MAX_ARRAY, MAX_DEPTH, MAX_VALUES, parse_object};
pub use jwk::{KeyRules, SkipReason, VerifyingKey};
pub use key_set::{KeySet, KeySetError, MAX_KEYS, MAX_SET_BYTES, Skipped};
pub use keyed_digest::{DIGEST_KEY_BYTES, DigestKey};
pub use sealing::{MAX_MESSAGES_PER_KEY, SEALING_KEY_BYTES, SEALING_OVERHEAD, SealingError, SealingKey};
pub use signing_key::{SigningError, SigningKey};
