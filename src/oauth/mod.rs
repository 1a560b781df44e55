//! Words on the wire of the OAuth surface: grants, parameters, token types, scopes, error codes.
//!
//! Decides what a well-formed request is (RFC 6749, 7523, 8693, 8707). Refuses to know HTTP, and what a token is worth.

mod error_code;
mod parameters;
mod request;
mod scope;
mod subject_token;

pub use error_code::ErrorCode;
pub use parameters::{ParameterError, Parameters};
pub use request::{Grant, GrantRequest, IssuedTokenType, RequestError};
pub use scope::{Scope, ScopeToken};
pub use subject_token::{DeclaredType, SubjectToken};
