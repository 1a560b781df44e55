//! What the end-to-end tests stand on: a counter that really listens, issuers that really serve, keys that really sign.
//! Nothing is mocked: caches, timeouts and rotation are the code under test. Time is moved, never slept for.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs
)]

pub mod answer;
pub mod http;
pub mod issuer;
pub mod key;
pub mod postgres;
pub mod real_part;
pub mod redis;
pub mod stand;

pub use answer::Answer;
pub use http::{bearer, exchange};
pub use issuer::Issuer;
pub use key::{Key, Token};
pub use stand::{AUDIENCE, Stand};
