//! The surfaces over HTTP: the only module that knows axum.
//!
//! Decides how a request is read and how an outcome is said, per protocol. Refuses to know why an exchange was allowed
//! or denied. Every body, header and wait is bounded before anything is parsed.

pub mod admin;
mod body;
mod budget;
mod connection;
pub mod documents;
mod first_bytes;
mod forwarded;
pub mod oauth;
pub mod ops;
mod places;
pub mod rest;
mod server;
mod tasks;
mod tls;
pub mod vault;

pub use forwarded::{Network, TrustedProxies};
pub use server::{ServerLimits, serve};
pub use tls::{Tls, TlsError, TlsSettings};
