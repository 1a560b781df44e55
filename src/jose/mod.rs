//! Compact JWS, algorithms, keys, signatures: strict, hostile input expected.
//!
//! Decides whether bytes are one well-formed signed token, which keys of a published set are usable, and whether a
//! signature holds. Refuses to know who issued a token, or what its claims mean. Only asymmetric algorithms exist as
//! values here, so that `none` and HMAC are not refused by a check but have no name. The one owner of the
//! cryptographic library: digests and randomness for the whole crate come from here too.

mod digest;

pub use digest::{NoRandomness, Sha256, random, sha256};
