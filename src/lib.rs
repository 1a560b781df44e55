//! cambio: an exchange counter for workload identity.
//!
//! A workload hands over the token that its platform gave it and gets back a short-lived, scoped secrets token. The
//! walk of one request, top to bottom, is [`exchange::Walk::exchange`]; every step consumes the value of the step
//! before it, so that none can be skipped:
//!
//! ```text
//! SubjectToken -> UntrustedToken -> SignedToken -> VerifiedToken -> Permit | Denial -> Draft -> AdmittedPermit -> IssuedToken
//!   oauth            verify          verify          verify            policy          mint        replay          mint
//! ```
//!
//! Modules stand in strict order and import only downwards; `tests/architecture.rs` holds it:
//!
//! `cli` > `app` > `config` > `telemetry` > `http` > `exchange` > `audit` > `mint` > `secrets` > `replay` > `limits` >
//! `policy` > `verify` > `trust` > `jose` > `oauth` > `state` > `identity` > `clock`

pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exchange;
pub mod http;
pub mod identity;
pub mod jose;
pub mod limits;
pub mod mint;
pub mod oauth;
pub mod policy;
pub mod replay;
pub mod secrets;
pub mod state;
pub mod telemetry;
pub mod trust;
pub mod verify;
